"""What can go wrong with keys. Every message is a sentence for a person and never holds key bytes."""

from provenance.errors import TouchmarkError


class KeyingError(TouchmarkError):
    """Base of all errors about keys."""


class KeyEncryptionKeyError(KeyingError):
    """The key-encryption key is missing, malformed or badly protected."""


class SealedRecordError(KeyingError):
    """A sealed record is altered, belongs to another record, or was sealed with another key."""
