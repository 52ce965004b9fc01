"""What stays home of a release's withheld set: images that are left out of the copy, and its list for the owner.

`home.jsonl` in the release's folder has a line of each such image, by position in the version's manifest: its path, its
unit and its block, numbered as in the file of blocks. It is a secret of the owner.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.canonical import canonical_json
from provenance.embedding.errors import EmbeddingError
from provenance.intake.manifest import Manifest, content_of
from provenance.marks import ImageBlocks, KeyedChoice
from provenance.whole_files import write_whole

LISTED = "home.jsonl"


@dataclass(frozen=True)
class AtHome:
    """The keyed choice of one release among the blocks of its version."""

    blocks: ImageBlocks
    choice: KeyedChoice

    def __contains__(self, position: int) -> bool:
        """Whether the image at this position of the version's manifest stays home."""
        return bool(self._stays[position])

    @cached_property
    def _stays(self) -> NDArray[np.bool_]:
        stays = np.zeros(len(self.blocks), dtype=np.bool_)
        stays[self.choice.images_at_home(self.blocks)] = True
        return stays

    @cached_property
    def in_choice(self) -> frozenset[int]:
        """Positions of all images of the blocks used: no mark is struck into one."""
        return frozenset(self.choice.images(self.blocks).tolist())

    def check_copies(self, manifest: Manifest) -> None:
        """Refuses blocks that would leave an exact copy of what stays home in the copy. Reads the manifest twice."""
        if len(manifest) != len(self.blocks):
            raise EmbeddingError("The blocks belong to another version. Make blocks of this one.")
        home = {content_of(line) for position, line in enumerate(manifest.lines()) if position in self}
        lines = enumerate(manifest.lines())
        if any(position not in self and content_of(line) in home for position, line in lines):
            raise EmbeddingError(
                "The blocks put files with the same content into different units, so that a copy could hold what stays "
                "home. Make blocks of this version anew."
            )

    def paths(self, manifest: Manifest) -> frozenset[str]:
        """The paths of all images that stay home."""
        return frozenset(manifest.entry(int(position)).path for position in np.flatnonzero(self._stays))

    def facts(self) -> dict[str, Any]:
        """Numbers that tell nothing about single images."""
        images = int(self._stays.sum())
        return {
            "blocks": len(self.choice),  # as many units stay home
            "alternatives": len(self.choice.positions),
            "images_in_blocks": len(self.in_choice),
            "images_at_home": images,
            "share_at_home": round(images / len(self.blocks), 6),
        }

    def write(self, manifest: Manifest, folder: Path) -> None:
        """Writes the owner's list."""

        def fill(part: Path) -> None:
            with part.open("wb") as file:
                for position in map(int, np.flatnonzero(self._stays)):
                    numbers = {"unit": int(self.blocks.unit_of[position]), "block": int(self.blocks.block_of[position])}
                    row = {"position": position, "path": manifest.entry(position).path, **numbers}
                    file.write(canonical_json(row) + b"\n")

        write_whole(folder / LISTED, fill)


def positions_at_home(folder: Path) -> frozenset[int]:
    """Positions, in the version's manifest, of the images that are not in a release's copy. A secret of the owner."""
    listed = folder / LISTED
    if not listed.exists():
        return frozenset()
    with listed.open("rb") as lines:
        return frozenset(int(json.loads(line)["position"]) for line in lines)
