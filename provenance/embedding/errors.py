"""What can go wrong while a release is written."""

from provenance.errors import TouchmarkError


class EmbeddingError(TouchmarkError):
    """The release as a whole cannot be written."""


class SourceChangedError(EmbeddingError):
    """Files of the version are not what its manifest says; `detail` lists them, one a line."""


class EmbeddingStoppedError(EmbeddingError):
    """`should_stop` said so. Finished blocks stay, and a later run goes on from them."""


class NotMarkableError(EmbeddingError):
    """One image cannot carry a mark; the sentence is the reason, and the key's next image steps in."""
