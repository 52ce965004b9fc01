"""Drawing a watermark key and committing to it before anything derives from it (docs/method.md, section 2.1)."""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from provenance.canonical import canonical_json
from provenance.keying.errors import KeyingError

KEY_BYTES = 32
SALT_BYTES = 32
DOMAIN_TAG = b"touchmark/1/commitment\x00"

_HEX_ROOT = re.compile(r"[0-9a-f]{64}")


def draw_key() -> bytes:
    """Draw 32 bytes from the operating system's CSPRNG."""
    return os.urandom(KEY_BYTES)


def draw_salt() -> bytes:
    """Draw the 32 bytes that blind a commitment until it is opened."""
    return os.urandom(SALT_BYTES)


def commit(key: bytes, salt: bytes, settings: str | Mapping[str, Any], manifest_root: str) -> str:
    """SHA-256(domain tag || salt || canonical JSON of {key, mark, root}), as 64 hex digits.

    docs/method.md, section 2.1. key: 32 bytes; it enters as lower-case hex. salt: 32 bytes, secret until the commitment
    is opened. settings: a JSON object or its text. manifest_root: 64 lower-case hex digits. Raises KeyingError where a
    part has the wrong form.
    """
    if len(key) != KEY_BYTES:
        raise KeyingError(f"A watermark key has {KEY_BYTES} bytes, this one has {len(key)}.")
    if len(salt) != SALT_BYTES:
        raise KeyingError(f"The salt of a commitment has {SALT_BYTES} bytes, this one has {len(salt)}.")
    if not _HEX_ROOT.fullmatch(manifest_root):
        raise KeyingError("A manifest root is 64 lower-case hexadecimal digits.")
    opened = {"key": key.hex(), "mark": _settings_object(settings), "root": manifest_root}
    return hashlib.sha256(DOMAIN_TAG + salt + canonical_json(opened)).hexdigest()


def verify_commitment(
    commitment: str, key: bytes, salt: bytes, settings: str | Mapping[str, Any], manifest_root: str
) -> bool:
    """Tell whether an opened commitment matches; same arguments and errors as `commit`."""
    return hmac.compare_digest(commit(key, salt, settings, manifest_root).encode(), commitment.encode())


def _settings_object(settings: str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(settings, str):
        try:
            settings = json.loads(settings)
        except ValueError as error:
            raise KeyingError("The mark settings are not valid JSON.") from error
    if not isinstance(settings, Mapping):
        raise KeyingError("The mark settings must be a JSON object.")
    return dict(settings)
