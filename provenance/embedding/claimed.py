"""What the files of a version claim: found in one pass over them, for a copy from which all claims are dropped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from provenance.embedding.carried import without_claims
from provenance.embedding.placing import changed_error
from provenance.intake.blocks import ANY_CLAIM
from provenance.intake.claims import Claim, claims_of
from provenance.intake.manifest import Manifest
from provenance.marks.copies import first_copies, first_of

BECOMES_COPY = "Without its claims it is byte for byte another image of this version."

_EVERY = 1000  # files between two looks at whether to go on
_BIT = {claim: 1 << number for number, claim in enumerate(Claim)}
_KINDS, _COPY = sum(_BIT.values()), 1 << 7


class Claimed:
    """Which files claim what, as one byte of bits for each position in the manifest."""

    def __init__(self, bits: np.ndarray) -> None:
        self._bits = bits

    @classmethod
    def nothing(cls, files: int) -> Claimed:
        return cls(np.zeros(files, dtype=np.uint8))

    @classmethod
    def found(cls, manifest: Manifest, files: Path, stored: Path, step: Callable[[int], None]) -> Claimed:
        """Read every file, or what an earlier run stored of it. step: told how many are done; may raise to stop.

        Raises SourceChangedError for files that are gone.
        """
        if not stored.exists():
            draft = stored.with_suffix(".draft")
            draft.write_bytes(_bits_of(manifest, files, step).tobytes())
            draft.replace(stored)
        return cls(np.frombuffer(stored.read_bytes(), dtype=np.uint8))

    def __contains__(self, position: int) -> bool:
        return bool(self._bits[position] & _KINDS)

    def becomes_copy(self, position: int) -> bool:
        """Whether dropping claims makes it equal to a file that it differs from now; the key knows them as two."""
        return bool(self._bits[position] & _COPY)

    def counts(self) -> dict[str, int]:
        """How many images carried each kind of claim, and any; empty where none did."""
        kinds = {claim.value: int(np.count_nonzero(self._bits & bit)) for claim, bit in _BIT.items()}
        whole = {ANY_CLAIM: int(np.count_nonzero(self._bits & _KINDS)), **kinds}
        return {name: count for name, count in sorted(whole.items()) if count}


def _bits_of(manifest: Manifest, files: Path, step: Callable[[int], None]) -> np.ndarray:
    bits, dropped = np.zeros(len(manifest), dtype=np.uint8), bytearray()
    for position, entry in enumerate(manifest):
        if position % _EVERY == 0:
            step(position)
        try:
            data = (files / entry.path).read_bytes()
        except OSError as error:
            raise changed_error([entry.path]) from error
        bits[position] = sum(_BIT[claim] for claim in claims_of(data))
        dropped += hashlib.sha256(without_claims(data)).digest() if bits[position] else bytes.fromhex(entry.sha256)
    if bits.any():
        bits[_become_copies(first_copies(manifest), first_of(bytes(dropped)))] |= _COPY
    return bits


def _become_copies(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(n,) bool: which files are equal afterwards to one that they differ from before; by first copies of each."""
    least, most = before.copy(), before.copy()
    np.minimum.at(least, after, before)
    np.maximum.at(most, after, before)
    return np.asarray((least != most)[after])
