"""The one base of every error that a person is meant to read, and the one that any job may meet."""

import errno

DISK_FULL = "The disk is full. Make room and start the job again; it goes on where it stopped."


class TouchmarkError(Exception):
    """Something a person can act on.

    `sentence` tells them what happened and what to do; `detail` is for engineers and may be long.
    """

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


def is_disk_full(error: BaseException) -> bool:
    """Whether there is no room left on the disk, or none for us."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
