"""The errors of intake. Every message is a sentence for the person who brought the files."""

from provenance.errors import TouchmarkError


class IntakeError(TouchmarkError):
    """The source as a whole cannot be taken in."""


class ArchiveError(IntakeError):
    """The archive is broken, hostile as a whole, or of a kind that is not read here."""


class LabelsError(IntakeError):
    """The labels cannot be read at all; single bad lines are listed instead."""


class ManifestError(IntakeError):
    """A manifest folder is damaged, or entries were offered in an order that a manifest cannot have."""


class Refused(Exception):  # noqa: N818 - a verdict over one file, never over the rest
    """One file is not taken; its message is the reason that is listed.

    ``skipped`` marks files nobody would miss (a file browser's droppings), as against refused ones.
    """

    def __init__(self, reason: str, *, skipped: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.skipped = skipped

    @property
    def outcome(self) -> str:
        return "skipped" if self.skipped else "refused"
