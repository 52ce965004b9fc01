"""What the owner may see of a release's marked images and of what stays home. Nobody else: the lists are secrets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.embedding import pictures
from provenance.embedding.at_home import positions_at_home
from provenance.embedding.versions import VersionRow, read_versions
from provenance.intake.manifest import Manifest
from provenance.marks import ALL_IMAGES, ImageBlocks
from provenance.models import Release
from provenance.services.keyed_choices import blocks_of
from provenance.services.manifests import open_manifest

PAGE_SIZE = 8


@dataclass(frozen=True)
class MarkedRow:
    """One marked image, as marked.jsonl has it."""

    position: int
    path: str
    set: int | None  # from 1, where the release has several mark sets
    group: str
    psnr: float
    survival: float
    written_as: str


@dataclass(frozen=True)
class HomeUnit:
    """A unit of a block, by its first image in the version's manifest."""

    position: int
    path: str
    images: int
    is_home: bool

    @property
    def more(self) -> int:
        return self.images - 1


@dataclass(frozen=True)
class HomeBlock:
    """A block of which one unit stays home; `number` from 1, as in the file of blocks."""

    number: int
    units: list[HomeUnit]


def marked_page(release: Release, number: int) -> list[MarkedRow]:
    """Page `number` (from 1) of the marked images in a mixed order, so that the first page shows several groups."""
    positions = _mixed(release.marked_count)[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    wanted = set(positions)
    rows: dict[int, MarkedRow] = {}
    groups = [mark.groups or (ALL_IMAGES,) for mark in release.key.mark_sets.struck]
    with (release.folder / "marked.jsonl").open("rb") as file:
        for index, line in enumerate(file):
            if index in wanted:
                row = json.loads(line)
                rows[index] = MarkedRow(
                    row["position"],
                    row["path"],
                    row.get("set"),
                    groups[row.get("set", 1) - 1][row["group"]],
                    row["psnr"],
                    row["survival"],
                    row["written_as"],
                )
    drawn = [rows[position] for position in positions]
    _draw(release, drawn)
    return drawn


def versions_page(release: Release, number: int) -> list[VersionRow]:
    """Page `number` (from 1) of the files that are one of two versions, in a mixed order as the marked ones are."""
    wanted = _mixed(release.facts["versions"]["images"])[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    shown = set(wanted)
    rows = {index: row for index, row in enumerate(read_versions(release.folder)) if index in shown}
    drawn = [rows[index] for index in wanted]
    _draw(release, drawn)
    return drawn


def home_page(release: Release, number: int) -> list[HomeBlock]:
    """Page `number` (from 1) of the blocks of which a unit stays home, by their numbers in the file of blocks.

    From the owner's list and the public blocks: no key is opened.
    """
    settings = release.key.mark_sets.withheld
    if settings is None:
        return []
    blocks = blocks_of(release.version, settings)
    home = np.sort(np.array(list(positions_at_home(release.folder)), dtype=np.int64))
    used = np.unique(blocks.block_of[home])[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    with open_manifest(release.version) as manifest:
        return [HomeBlock(int(block) + 1, _units(blocks, int(block), home, manifest)) for block in used]


def _units(blocks: ImageBlocks, block: int, home: NDArray[np.int64], manifest: Manifest) -> list[HomeUnit]:
    found = []
    for unit in blocks.alternatives[block]:
        first, images = int(blocks.first_of_unit[unit]), int((blocks.unit_of == unit).sum())
        found.append(HomeUnit(first, manifest.entry(first).path, images, bool(np.isin(first, home))))
    return found


def picture(release: Release, position: int, kind: str) -> bytes | None:
    """A picture that the gallery's page has drawn; None for any other."""
    path = release.folder / "pictures" / f"{position}-{kind}.webp"
    return path.read_bytes() if kind in pictures.KINDS and path.exists() else None


def _mixed(count: int) -> list[int]:
    """0..count-1 in strides, the same for everybody."""
    stride = max(1, count // PAGE_SIZE)
    return [index for start in range(stride) for index in range(start, count, stride)]


def _draw(release: Release, rows: Sequence[MarkedRow | VersionRow]) -> None:
    folder = release.folder / "pictures"
    folder.mkdir(exist_ok=True)
    missing = [row for row in rows if not (folder / f"{row.position}-difference.webp").exists()]
    originals, marked = release.version.files_folder, release.folder / "files"
    pairs = [pictures.Pair(originals / row.path, marked / row.path) for row in missing]
    for row, drawn in zip(missing, pictures.draw(pairs) if pairs else [], strict=True):
        for kind, data in drawn.items():
            (folder / f"{row.position}-{kind}.webp").write_bytes(data)
