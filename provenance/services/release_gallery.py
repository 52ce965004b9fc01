"""What the owner may see of a release's marked images. Nobody else: the list of them is a secret."""

import json
from dataclasses import dataclass

from provenance.embedding import pictures
from provenance.marks import ALL_IMAGES
from provenance.models import Release

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


def picture(release: Release, position: int, kind: str) -> bytes | None:
    """A picture that the gallery's page has drawn; None for any other."""
    path = release.folder / "pictures" / f"{position}-{kind}.webp"
    return path.read_bytes() if kind in pictures.KINDS and path.exists() else None


def _mixed(count: int) -> list[int]:
    """0..count-1 in strides, the same for everybody."""
    stride = max(1, count // PAGE_SIZE)
    return [index for start in range(stride) for index in range(start, count, stride)]


def _draw(release: Release, rows: list[MarkedRow]) -> None:
    folder = release.folder / "pictures"
    folder.mkdir(exist_ok=True)
    missing = [row for row in rows if not (folder / f"{row.position}-difference.webp").exists()]
    originals, marked = release.version.files_folder, release.folder / "files"
    pairs = [pictures.Pair(originals / row.path, marked / row.path) for row in missing]
    for row, drawn in zip(missing, pictures.draw(pairs) if pairs else [], strict=True):
        for kind, data in drawn.items():
            (folder / f"{row.position}-{kind}.webp").write_bytes(data)
