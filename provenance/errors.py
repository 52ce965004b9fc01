"""The one base of every error that a person is meant to read."""


class TouchmarkError(Exception):
    """Something a person can act on.

    `sentence` tells them what happened and what to do; `detail` is for engineers and may be long.
    """

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail
