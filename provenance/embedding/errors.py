"""What can go wrong while a release is written."""

from provenance.errors import TouchmarkError


class EmbeddingError(TouchmarkError):
    """The release as a whole cannot be written."""


class SourceChangedError(EmbeddingError):
    """Files of the version are not what its manifest says; `detail` lists them, one a line."""


class NotMarkableError(EmbeddingError):
    """One image cannot carry a mark; the sentence is the reason, and the key's next image steps in."""


class NotCarriedError(NotMarkableError):
    """The image can be marked as far as its file goes, but does not carry this pattern here; it may carry others."""
