"""The public rule by which images become units and units become blocks. Nothing of it depends on a key."""

from dataclasses import asdict, dataclass
from typing import Any

from provenance.errors import TouchmarkError
from provenance.intake.paths import DEPTH
from provenance.marks.withheld import DEFAULT_BLOCK, MAX_BLOCK, MIN_BLOCK
from provenance.near_duplicates.grouping import DISTANCE

LONGEST_NAME = 200


class BlockingError(TouchmarkError):
    """Images cannot be put into blocks like this; the sentence says what to change."""


@dataclass(frozen=True)
class BlockRule:
    """Raises BlockingError.

    Files with the same content are one unit always. Further ones are where hashes differ in at most `distance` bits,
    where a CSV says the same in a column, or where they lie in the same folder.
    """

    block_size: int = DEFAULT_BLOCK
    distance: int = DISTANCE  # bits of 256 in which perceptual hashes may differ; 0: only those that are equal
    unit_column: str = ""  # of the CSV of labels: burst, video, person …
    folder_level: int = 0  # 1: images below the same first folder are one unit, 2: below the same first two …
    clusters: str = ""  # SHA-256 of an encoder's clusters: blocks are made within them, and within classes
    signs: str = ""  # SHA-256 of the signs of its features: likeness goes by them, and not by perceptual hashes

    def __post_init__(self) -> None:
        object.__setattr__(self, "unit_column", self.unit_column.strip().lower())
        if not MIN_BLOCK <= self.block_size <= MAX_BLOCK:
            raise BlockingError(f"A block has between {MIN_BLOCK} and {MAX_BLOCK} alternatives.")
        if not 0 <= self.distance <= DISTANCE:
            raise BlockingError(f"Near-duplicates differ in 0 to {DISTANCE} of the 256 bits of their hashes.")
        if not 0 <= self.folder_level <= DEPTH:
            raise BlockingError(f"A folder level is a number from 1 to {DEPTH}, or 0 for none.")
        if self.unit_column in ("path", "label", "caption") or len(self.unit_column) > LONGEST_NAME:
            raise BlockingError("Name a column of the CSV other than path, label and caption that says what is one.")

    def to_dict(self) -> dict[str, Any]:
        """As it is stored; rules from before there were signs said nothing of them."""
        return {name: value for name, value in asdict(self).items() if value or name != "signs"}

    def __str__(self) -> str:
        further = [f"column “{self.unit_column}”"] if self.unit_column else []
        further += [f"{self.folder_level} folder levels"] if self.folder_level else []
        further += [f"clusters {self.clusters[:8]}"] if self.clusters else []
        further += ["nearest in features"] if self.signs else []
        return ", ".join([f"{self.block_size} a block", f"near-duplicates within {self.distance} bits", *further])
