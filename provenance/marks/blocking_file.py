"""The file that says which images of a version are one unit, and which units make a block (docs/method.md, section 12).

`<version>/blockings/<SHA-256>.npy`: (2, n) int32 by position in the manifest; numbers of units, from 0 in the order in
which they come, and of blocks, from 0, NO_BLOCK for none. Public: it follows from the images alone.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TouchmarkError
from provenance.marks.digest_files import AlteredFileError, array_path, read_array, write_array

NO_BLOCK = -1
FOLDER = "blockings"

Ints = NDArray[np.int64]


class BlockingFileError(TouchmarkError):
    """The file of blocks is gone, was altered, or belongs to another manifest."""


@dataclass(frozen=True)
class ImageBlocks:
    """The n images of a manifest in units and blocks, all blocks of the same size b. Raises BlockingFileError.

    unit_of (n,) int32. block_of (n,) int32, NO_BLOCK for none; the images of a unit are all in the same one.
    """

    unit_of: NDArray[np.int32]
    block_of: NDArray[np.int32]

    def __post_init__(self) -> None:
        units, blocks = self.unit_of, self.block_of
        if units.ndim != 1 or units.shape != blocks.shape or not len(units):
            raise _malformed("units and blocks are not one of each image")
        highest = np.maximum.accumulate(units)  # a unit's first image comes when all units before it have come
        if units.min() < 0 or units[0] != 0 or (np.diff(highest) > 1).any():
            raise _malformed("units are not numbered in the order in which they come")
        if not np.array_equal(blocks, blocks[self.first_of_unit][units]):
            raise _malformed("a unit lies in two blocks")
        if blocks.min() < NO_BLOCK:
            raise _malformed("a block has a negative number")
        sizes = np.bincount(self._alternatives[1])
        if len(sizes) and (sizes.min() != sizes.max() or sizes[0] < 2):
            raise _malformed("blocks differ in size, or hold one unit")

    def __len__(self) -> int:
        """n, the images."""
        return len(self.unit_of)

    @property
    def units(self) -> int:
        return len(self.first_of_unit)

    @property
    def blocks(self) -> int:
        return len(self.alternatives)

    @property
    def block_size(self) -> int:
        """b; 0 where there is no block."""
        return int(self.alternatives.shape[1])

    @property
    def files(self) -> int:
        """Images that stand in a block."""
        return int((self.block_of != NO_BLOCK).sum())

    @cached_property
    def first_of_unit(self) -> Ints:
        """(units,) position of the first image of every unit, which stands for it."""
        return np.unique(self.unit_of, return_index=True)[1].astype(np.int64)

    @cached_property
    def alternatives(self) -> Ints:
        """(blocks, b) the units of every block, ascending."""
        units, blocks = self._alternatives
        return units.reshape(int(blocks[-1]) + 1, -1) if len(units) else np.empty((0, 0), dtype=np.int64)

    @cached_property
    def _alternatives(self) -> tuple[Ints, Ints]:
        """Units that stand in a block and the block of each, in the order of blocks, then units."""
        block_of_unit = self.block_of[self.first_of_unit].astype(np.int64)
        order = np.argsort(block_of_unit, kind="stable")
        order = order[np.count_nonzero(block_of_unit == NO_BLOCK) :]
        return order, block_of_unit[order]

    def images_of(self, units: Ints) -> Ints:
        """Positions of all images of these units, ascending."""
        wanted = np.zeros(self.units, dtype=np.bool_)
        wanted[units] = True
        return np.flatnonzero(wanted[self.unit_of]).astype(np.int64)


def blocking_path(version_folder: Path, digest: str) -> Path:
    return array_path(version_folder / FOLDER, digest)


def write_blocking(version_folder: Path, blocks: ImageBlocks) -> str:
    """Store blocks under their digest; returns it."""
    both = np.stack([blocks.unit_of, blocks.block_of]).astype(np.int32)
    return write_array(version_folder / FOLDER, both)


def read_blocking(version_folder: Path, digest: str, images: int) -> ImageBlocks:
    """The blocks of a version, checked against their digest and its number of images. Raises BlockingFileError."""
    try:
        both: NDArray[np.int32] = read_array(version_folder / FOLDER, digest)
    except OSError as error:
        raise BlockingFileError(
            "The file of blocks that the key chooses from is gone. Put it back from a backup.", str(error)
        ) from error
    except AlteredFileError as error:
        raise BlockingFileError(
            "The file of blocks that the key chooses from was altered. Put it back from a backup.", digest
        ) from error
    if both.ndim != 2 or len(both) != 2 or both.dtype != np.int32:
        raise _malformed(f"{both.dtype} of shape {both.shape}")
    if both.shape[1] != images:
        raise BlockingFileError(
            "The blocks belong to another version: they count other images. Make blocks of this version.",
            f"{images} entries, {both.shape[1]} in blocks",
        )
    return ImageBlocks(both[0], both[1])


def _malformed(detail: str) -> BlockingFileError:
    return BlockingFileError("The file of blocks holds none that a key could choose from. Make blocks anew.", detail)
