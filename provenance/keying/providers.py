"""Where key-encryption keys come from: a file by default, the environment in deployments.

Both hold several keys by id: new records are sealed with the current one, old records open with theirs, so a key
can be rotated (add, rewrap the records, retire).
"""

import base64
import binascii
import json
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from provenance.keying.errors import KeyEncryptionKeyError

KEK_BYTES = 32
ENVIRONMENT_VARIABLE = "TOUCHMARK_KEY_ENCRYPTION_KEYS"

_KEK_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class KeyEncryptionKey:
    """One AES-256 key that seals data keys, and the id that sealed records name it by."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEK_ID.fullmatch(self.id):
            raise KeyEncryptionKeyError(
                "The id of a key-encryption key has 1 to 64 letters, digits, dots, dashes or underscores."
            )
        if len(self.secret) != KEK_BYTES:
            raise KeyEncryptionKeyError(f"Key-encryption key '{self.id}' must have {KEK_BYTES} bytes.")


class KeyProvider(Protocol):
    """Gives key-encryption keys; a hardware module or a key service would be a further provider."""

    def current(self) -> KeyEncryptionKey:
        """The key that seals new records."""
        ...

    def get(self, kek_id: str) -> KeyEncryptionKey:
        """The key with this id. Raises KeyEncryptionKeyError where it is unknown."""
        ...


class _KeyRing:
    """Keys by id with one of them current."""

    def __init__(self, keys: Mapping[str, KeyEncryptionKey], current: str, origin: str) -> None:
        if current not in keys:
            raise KeyEncryptionKeyError(f"{origin} names '{current}' as current but does not hold it.")
        self.keys = dict(keys)
        self.current_id = current
        self.origin = origin

    def get(self, kek_id: str) -> KeyEncryptionKey:
        try:
            return self.keys[kek_id]
        except KeyError:
            raise KeyEncryptionKeyError(
                f"This record was sealed with key-encryption key '{kek_id}', which {self.origin} does not hold. "
                "Restore that key to open the record."
            ) from None


class FileKeyProvider:
    """Key-encryption keys in a JSON file that only its owner can read; created on first use.

    Args:
        path: the file. Its folder is created (mode 0700) where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def current(self) -> KeyEncryptionKey:
        ring = self._ring()
        return ring.keys[ring.current_id]

    def get(self, kek_id: str) -> KeyEncryptionKey:
        return self._ring().get(kek_id)

    def rotate(self) -> KeyEncryptionKey:
        """Draw a new current key and keep the old ones, so that records sealed with them still open."""
        ring = self._ring()
        fresh = _draw()
        ring.keys[fresh.id] = fresh
        temporary = self._write_temporary(ring.keys, fresh.id)
        temporary.replace(self.path)
        return fresh

    def _ring(self) -> _KeyRing:
        if not self.path.exists():
            self._create()
        if self.path.stat().st_mode & 0o077:
            raise KeyEncryptionKeyError(
                f"The key file {self.path} can be read by other users of this machine. "
                "Make it readable by its owner alone (chmod 600)."
            )
        try:
            held = json.loads(self.path.read_text("utf-8"))
            keys = {kek_id: KeyEncryptionKey(kek_id, _decode(kek_id, text)) for kek_id, text in held["keys"].items()}
            return _KeyRing(keys, held["current"], f"the key file {self.path}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise KeyEncryptionKeyError(
                f"The key file {self.path} is damaged. Restore it from a backup; without it no key can be opened."
            ) from error

    def _create(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        first = _draw()
        temporary = self._write_temporary({first.id: first}, first.id)
        try:
            os.link(temporary, self.path)  # fails where another process was first; its key then counts
        except FileExistsError:
            pass
        finally:
            temporary.unlink()

    def _write_temporary(self, keys: Mapping[str, KeyEncryptionKey], current: str) -> Path:
        held = {"current": current, "keys": {k: base64.b64encode(v.secret).decode() for k, v in keys.items()}}
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(held, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)


class EnvironmentKeyProvider:
    """Key-encryption keys from text "id:base64[,id:base64 …]"; the first one is current.

    Args:
        text: the value; read from the environment variable TOUCHMARK_KEY_ENCRYPTION_KEYS where it is None.
    """

    def __init__(self, text: str | None = None) -> None:
        text = os.environ.get(ENVIRONMENT_VARIABLE, "") if text is None else text
        keys: dict[str, KeyEncryptionKey] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            kek_id, separator, encoded = item.partition(":")
            if not separator:
                raise KeyEncryptionKeyError(f"{ENVIRONMENT_VARIABLE} must read 'id:base64', several split by commas.")
            if kek_id in keys:
                raise KeyEncryptionKeyError(f"{ENVIRONMENT_VARIABLE} names the key id '{kek_id}' twice.")
            keys[kek_id] = KeyEncryptionKey(kek_id, _decode(kek_id, encoded))
        if not keys:
            raise KeyEncryptionKeyError(
                f"No key-encryption key is set. Put 'id:base64 of 32 random bytes' into {ENVIRONMENT_VARIABLE}."
            )
        self._ring = _KeyRing(keys, next(iter(keys)), f"the variable {ENVIRONMENT_VARIABLE}")

    def current(self) -> KeyEncryptionKey:
        return self._ring.keys[self._ring.current_id]

    def get(self, kek_id: str) -> KeyEncryptionKey:
        return self._ring.get(kek_id)


def _draw() -> KeyEncryptionKey:
    return KeyEncryptionKey(f"kek-{secrets.token_hex(4)}", os.urandom(KEK_BYTES))


def _decode(kek_id: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyEncryptionKeyError(f"Key-encryption key '{kek_id}' is not valid base64.") from error
