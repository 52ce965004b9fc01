"""Everything secret about a mark derives from (key, beacon, purpose); nothing else does.

docs/method.md, section 2.2.
"""

import hashlib
import hmac
import re

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance.keying.commitment import KEY_BYTES
from provenance.keying.errors import KeyingError

DOMAIN = "touchmark/1"
MIN_BEACON_BYTES = 16

_PURPOSE = re.compile(r"[a-z0-9][a-z0-9./-]{0,99}")


def derive(key: bytes, beacon: bytes, purpose: str, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869) with the beacon as salt and "touchmark/1/<purpose>" as info.

    Args:
        key: 32 bytes. beacon: at least 16 bytes recorded after the commitment.
        purpose: a short lower-case path such as "assignment". length: bytes wanted, 1 to 8160.

    Raises: KeyingError for a malformed key, beacon, purpose or length.
    """
    if len(key) != KEY_BYTES:
        raise KeyingError(f"A watermark key has {KEY_BYTES} bytes, this one has {len(key)}.")
    if len(beacon) < MIN_BEACON_BYTES:
        raise KeyingError(f"A beacon has at least {MIN_BEACON_BYTES} bytes; record it before deriving from the key.")
    if not _PURPOSE.fullmatch(purpose):
        raise KeyingError(f"'{purpose}' is no purpose to derive for: use lower-case letters, digits, '.', '-' and '/'.")
    if not 1 <= length <= 255 * 32:
        raise KeyingError("A derivation gives between 1 and 8160 bytes.")
    info = f"{DOMAIN}/{purpose}".encode()
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=beacon, info=info).derive(key)


def philox(key: bytes, beacon: bytes, purpose: str) -> np.random.Generator:
    """A counter-based generator (Philox 4x64) for one purpose.

    Only its raw stream is fixed by specification; NumPy may change what `Generator.integers` or `.permutation`
    make of it. Whatever must reproduce years later takes `bit_generator.random_raw`, as `keyed_permutation` does.
    """
    seed = int.from_bytes(derive(key, beacon, purpose, 16), "little")
    return np.random.Generator(np.random.Philox(key=seed))


def keyed_permutation(rng: np.random.Generator, count: int) -> np.ndarray:
    """A uniform permutation of 0..count-1, shape (count,) int64: the order of `count` raw 64-bit words.

    Ties have probability below count^2 / 2^65 and fall to the smaller index.
    """
    return np.argsort(rng.bit_generator.random_raw(count), kind="stable").astype(np.int64)


class Prf:
    """HMAC-SHA256 under a derived key: the same answer for the same words, whatever was asked before."""

    def __init__(self, key: bytes, beacon: bytes, purpose: str) -> None:
        self._state = hmac.new(derive(key, beacon, purpose), digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return "Prf(...)"

    def digest(self, *words: str) -> bytes:
        """32 bytes for a sequence of words; words are length-prefixed, so ("a", "b") is not ("ab",)."""
        state = self._state.copy()
        for word in words:
            data = word.encode("utf-8")
            state.update(len(data).to_bytes(8, "little") + data)
        return state.digest()

    def fractions(self, count: int, *words: str) -> tuple[float, ...]:
        """`count` (at most 4) numbers in [0, 1) with 53 bits each."""
        if not 1 <= count <= 4:
            raise KeyingError("One digest holds between 1 and 4 fractions.")
        data = self.digest(*words)
        return tuple((int.from_bytes(data[8 * i : 8 * i + 8], "little") >> 11) * 2.0**-53 for i in range(count))
