"""Keys: drawing, committing, deriving from, and sealing them. Pure Python, no Django."""

from provenance.keying.commitment import KEY_BYTES, commit, draw_key, draw_salt, verify_commitment
from provenance.keying.derivation import Prf, derive, keyed_permutation, philox
from provenance.keying.envelope import open_sealed, rewrap, seal, sealed_with
from provenance.keying.errors import KeyEncryptionKeyError, KeyingError, SealedRecordError
from provenance.keying.providers import (
    EnvironmentKeyProvider,
    FileKeyProvider,
    KeyEncryptionKey,
    KeyProvider,
)

__all__ = [
    "KEY_BYTES",
    "EnvironmentKeyProvider",
    "FileKeyProvider",
    "KeyEncryptionKey",
    "KeyEncryptionKeyError",
    "KeyProvider",
    "KeyingError",
    "Prf",
    "SealedRecordError",
    "commit",
    "derive",
    "draw_key",
    "draw_salt",
    "keyed_permutation",
    "open_sealed",
    "philox",
    "rewrap",
    "seal",
    "sealed_with",
    "verify_commitment",
]
