"""The public settings of a keyed choice by withholding: in every block of alternatives the key picks one that stays
home. Nothing secret is in here, and no pixel is changed (docs/method.md, section 12).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from provenance.canonical import canonical_json
from provenance.marks.errors import SettingsError
from provenance.marks.settings import DIGEST, number_setting, settings_object, whole_setting

WITHHELD = "withheld"
MIN_BLOCK, MAX_BLOCK = 2, 16
DEFAULT_BLOCK, DEFAULT_SHARE = 4, 0.05


@dataclass(frozen=True)
class WithheldSettings:
    """Frozen, validated settings of the withheld set of a release. Raises SettingsError, as `from_json` does."""

    blocking: str  # SHA-256, in hex, of the file that says which images are one unit and which units make a block
    block_size: int = DEFAULT_BLOCK  # alternatives of every block, 2 to 16
    share: float = DEFAULT_SHARE  # of the version's images that stay home, above 0 and at most 1 / block_size

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", number_setting("share", self.share))
        if not (isinstance(self.blocking, str) and DIGEST.fullmatch(self.blocking)):
            raise SettingsError("Name the blocks that the key chooses from by the digest of their file.")
        if not whole_setting(self.block_size) or not MIN_BLOCK <= self.block_size <= MAX_BLOCK:
            raise SettingsError(f"A block has between {MIN_BLOCK} and {MAX_BLOCK} alternatives.")
        if not 0 < self.share <= 1 / self.block_size + 1e-12:
            raise SettingsError(
                f"One of {self.block_size} alternatives stays home in every block, so the share that stays home lies "
                f"above 0 and at most at 1/{self.block_size}."
            )

    def blocks_used(self, images: int, alternatives: int, files: int) -> int:
        """How many blocks the key uses, a number that does not depend on it: one unit of each stays home.

        As many as bring the share home on average: the share of all images over the mean size of an alternative,
        rounded down, at least one, and no more than there are.

        images: of the version. alternatives: units that stand in a block. files: how many images these hold.
        """
        if not alternatives:
            return 0
        wanted = math.floor(self.share * images * alternatives / files + 1e-9)
        return min(max(wanted, 1), alternatives // self.block_size)

    def smallest_p(self, blocks: int) -> float:
        """The smallest p that a test of so many blocks could reach: one over the number of possible choices."""
        return float(self.block_size) ** -blocks

    def to_dict(self) -> dict[str, Any]:
        """A JSON object; equal settings give equal objects."""
        return {"kind": WITHHELD, **asdict(self)}

    def to_json(self) -> str:
        """Canonical JSON, as it enters the commitment."""
        return canonical_json(self.to_dict()).decode("utf-8")

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> "WithheldSettings":
        source = settings_object(source)
        if source.get("kind") != WITHHELD:
            raise SettingsError(f"The kind of a set that changes no pixel is '{WITHHELD}'.")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(source) - known - {"kind"}):
            raise SettingsError(f"Unknown setting of a withheld set: {', '.join(map(str, unknown))}.")
        if "blocking" not in source:
            raise SettingsError("Name the blocks that the key chooses from by the digest of their file.")
        return cls(**{name: value for name, value in source.items() if name != "kind"})
