"""A keyed choice between versions: pictures that come in one of two faint versions, of which the other stays home.

The versions follow from the source by a public rule; secret is which one is published (docs/method.md, section 12).
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

import numpy as np

from provenance.canonical import canonical_json
from provenance.keying import Prf
from provenance.marks.cluster_files import InFolder
from provenance.marks.copies import first_copies
from provenance.marks.errors import SettingsError
from provenance.marks.overlay import FaintFamily
from provenance.marks.secret import Candidate, GroupCandidates
from provenance.marks.settings import number_setting, settings_object

VERSIONS = "versions"
DEFAULT_SHARE, DEFAULT_DECIBELS = 1.0, 34.0
LEAST_DECIBELS, MOST_DECIBELS = 30.0, 44.0

_PATTERN = b"touchmark/1/versions/pattern\x00"


@dataclass(frozen=True)
class VersionsSettings:
    """Frozen, validated settings of the versions of a release. Raises SettingsError, as `from_json` does."""

    block_size: ClassVar[int] = 2  # versions of a picture, one of which stays home

    share: float = DEFAULT_SHARE  # of the images that come in one of two versions, above 0 and at most 1
    decibels: float = DEFAULT_DECIBELS  # PSNR between a version and its source, 30 to 44

    def __post_init__(self) -> None:
        for name in ("share", "decibels"):
            object.__setattr__(self, name, number_setting(name, getattr(self, name)))
        if not 0 < self.share <= 1:
            raise SettingsError("The share of images that come in two versions must lie above 0 and at most at 1.")
        if not LEAST_DECIBELS <= self.decibels <= MOST_DECIBELS:
            raise SettingsError(
                f"Between a version and its source there are {LEAST_DECIBELS:g} to {MOST_DECIBELS:g} dB; the fewer, "
                "the easier it is to see, and to find."
            )

    @property
    def amplitude(self) -> float:
        """Grey levels of the tile's range; one deviation of its field is a third of it (`sum_of_waves`)."""
        return float(3 * 255 * 10 ** (-self.decibels / 20))

    @property
    def periods(self) -> int:
        """Of the tile, to the short edge: waves as coarse as crops and small inputs keep them."""
        return 1

    def wanted(self, images: int) -> int:
        """Images of a version that are to come in two versions."""
        return math.floor(self.share * images + 1e-9)

    def smallest_p(self, blocks: int) -> float:
        """The smallest p that a test of so many pictures could reach: one over the number of possible choices."""
        return float(self.block_size) ** -blocks

    def to_dict(self) -> dict[str, Any]:
        """A JSON object; equal settings give equal objects."""
        return {"kind": VERSIONS, **asdict(self)}

    def to_json(self) -> str:
        """Canonical JSON, as it enters the commitment."""
        return canonical_json(self.to_dict()).decode("utf-8")

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> "VersionsSettings":
        source = settings_object(source)
        if source.get("kind") != VERSIONS:
            raise SettingsError(f"The kind of a set of two versions of every picture is '{VERSIONS}'.")
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(source) - known - {"kind"}):
            raise SettingsError(f"Unknown setting of a set of versions: {', '.join(map(str, unknown))}.")
        return cls(**{name: value for name, value in source.items() if name != "kind"})


def two_patterns(family: FaintFamily, sha256: str) -> tuple[np.ndarray, np.ndarray]:
    """What is added to the picture with this content for either version, (32, 32, 3) uint8: a field and its negative.

    Public: whoever holds the source can make both versions, and learns from neither which one is published.
    """
    seed = int.from_bytes(hashlib.sha256(_PATTERN + bytes.fromhex(sha256)).digest()[:16], "little")
    pattern = family.balanced_pattern(np.random.Generator(np.random.Philox(key=seed)))
    return pattern, 255 - pattern


@dataclass(frozen=True)
class VersionSecret:
    """What a key decides about versions: in which order pictures are taken, and which version of each stays home."""

    settings: VersionsSettings
    _order: Prf = field(repr=False)
    _home: Prf = field(repr=False)

    @classmethod
    def derive(cls, key: bytes, beacon: bytes, settings: VersionsSettings, number: int = 0) -> "VersionSecret":
        """number: of the set among all of its release, from 0. Raises KeyingError for a malformed key or beacon."""
        own = f"set-{number + 1}/{VERSIONS}" if number else VERSIONS
        return cls(settings, *(Prf(key, beacon, f"{own}/{purpose}") for purpose in ("order", "home")))

    def home(self, sha256: str) -> int:
        """Which version of the picture with this content stays home, 0 or 1."""
        return self._home.digest(sha256)[0] & 1

    def published(self, sha256: str) -> int:
        """The other one."""
        return 1 - self.home(sha256)

    def candidates(self, manifest: InFolder) -> GroupCandidates:
        """The files of the first pictures in the key's order, exact copies behind each other.

        As many as the share says, as one group. Which of them can be written in both versions does not hang on the
        choice. Reads the manifest three times.
        """
        ranks = np.array([int.from_bytes(self._order.digest(entry.sha256)[:8], "big") for entry in manifest], np.uint64)
        first = first_copies(manifest)
        order = np.lexsort((np.arange(len(first)), first, ranks))
        chosen = _whole_pictures(order, first, self.settings.wanted(len(first)))
        place = {position: rank for rank, position in enumerate(chosen.tolist())}
        found = {
            place[position]: Candidate(position, entry.path, entry.sha256, 0)
            for position, entry in enumerate(manifest)
            if position in place
        }
        return GroupCandidates(0, len(found), tuple(found[rank] for rank in range(len(found))))


def _whole_pictures(order: np.ndarray, first: np.ndarray, most: int) -> np.ndarray:
    """The first files in order, at most so many, with all copies of each or none."""
    if most >= len(order):
        return order
    while most and first[order[most]] == first[order[most - 1]]:
        most -= 1
    return order[:most]
