"""Envelope encryption: a fresh data key seals each record, and the key-encryption key seals the data key.

Layout of a sealed record, version 1 (docs/architecture.md, "What lies on disk"):
    b"TME1" | length of kek id (1 byte) | kek id | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext + tag
"""

import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from provenance.keying.errors import SealedRecordError
from provenance.keying.providers import KeyEncryptionKey, KeyProvider

MAGIC = b"TME1"
NONCE = 12
WRAPPED = 48

_ALTERED = "The sealed key cannot be opened: it was altered, or it belongs to another record."


class _Parts(NamedTuple):
    header: bytes
    kek_id: str
    wrap_nonce: bytes
    wrapped: bytes
    body: bytes  # nonce and ciphertext under the data key


def seal(kek: KeyEncryptionKey, plaintext: bytes, associated: bytes) -> bytes:
    """Seal `plaintext` for one record; `associated` names that record (organisation/dataset/key id)."""
    data_key = AESGCM.generate_key(256)
    nonce = os.urandom(NONCE)
    body = nonce + AESGCM(data_key).encrypt(nonce, plaintext, associated)
    return _wrap(kek, data_key, associated) + body


def open_sealed(provider: KeyProvider, sealed: bytes, associated: bytes) -> bytes:
    """Open a sealed record.

    Raises: SealedRecordError where the record is altered or belongs elsewhere; KeyEncryptionKeyError where the
    provider does not know the key-encryption key that sealed it.
    """
    parts = _split(sealed)
    data_key = _unwrap(provider.get(parts.kek_id), parts, associated)
    try:
        return AESGCM(data_key).decrypt(parts.body[:NONCE], parts.body[NONCE:], associated)
    except InvalidTag as error:
        raise SealedRecordError(_ALTERED) from error


def rewrap(provider: KeyProvider, sealed: bytes, associated: bytes) -> bytes:
    """Wrap the record's data key with the provider's current key-encryption key; the ciphertext stays."""
    parts = _split(sealed)
    data_key = _unwrap(provider.get(parts.kek_id), parts, associated)
    return _wrap(provider.current(), data_key, associated) + parts.body


def sealed_with(sealed: bytes) -> str:
    """The id of the key-encryption key that sealed a record."""
    return _split(sealed).kek_id


def _wrap(kek: KeyEncryptionKey, data_key: bytes, associated: bytes) -> bytes:
    kek_id = kek.id.encode("ascii")
    header = MAGIC + bytes([len(kek_id)]) + kek_id
    nonce = os.urandom(NONCE)
    return header + nonce + AESGCM(kek.secret).encrypt(nonce, data_key, header + associated)


def _unwrap(kek: KeyEncryptionKey, parts: _Parts, associated: bytes) -> bytes:
    try:
        return AESGCM(kek.secret).decrypt(parts.wrap_nonce, parts.wrapped, parts.header + associated)
    except InvalidTag as error:
        raise SealedRecordError(
            f"{_ALTERED} It may also be that key-encryption key '{kek.id}' is not the one it was sealed with."
        ) from error


def _split(sealed: bytes) -> _Parts:
    sealed = bytes(sealed)
    length = sealed[len(MAGIC)] if len(sealed) > len(MAGIC) else 0
    start = len(MAGIC) + 1 + length
    if not sealed.startswith(MAGIC) or len(sealed) < start + NONCE + WRAPPED + NONCE + 16:
        raise SealedRecordError("This is no sealed record: it is cut short or has another format.")
    try:
        kek_id = sealed[len(MAGIC) + 1 : start].decode("ascii")
    except UnicodeDecodeError as error:
        raise SealedRecordError(_ALTERED) from error
    wrapped_at = start + NONCE
    body_at = wrapped_at + WRAPPED
    return _Parts(sealed[:start], kek_id, sealed[start:wrapped_at], sealed[wrapped_at:body_at], sealed[body_at:])
