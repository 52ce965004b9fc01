"""What can go wrong with a stranger's model, each with a sentence for people."""

from __future__ import annotations

from provenance.errors import TouchmarkError


class SpecError(TouchmarkError):
    """The description of a model is wrong; the sentence says what to change."""


class FormatError(TouchmarkError):
    """The file of weights is refused; the sentence says why and what to bring instead."""


class SuspectError(TouchmarkError):
    """A model could not be asked. ``kind`` is one of the words in ``KINDS``."""

    KINDS = (
        "sandbox",  # the child process could not be confined, so nothing was loaded
        "weights",  # the file does not hold what the description says
        "architecture",  # the network could not be built
        "memory",  # it asked for more memory than it may have
        "timeout",  # it did not answer in time, or used up its processor time
        "killed",  # the child process was ended by a signal
        "crashed",  # the child process ended by itself
        "numbers",  # weights or answers that are not finite
        "shape",  # answers of the wrong shape or number
        "request",  # our own side asked for something that is not there
        "model",  # the network itself failed on the images
    )

    def __init__(self, kind: str, sentence: str, detail: str = "") -> None:
        if kind not in self.KINDS:
            raise ValueError(f"Unknown kind of suspect error: {kind}")
        super().__init__(sentence, detail)
        self.kind = kind
