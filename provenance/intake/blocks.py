"""Blocks: the unit of work, of storage, and of going on after a kill. One file holds one block's results."""

import hashlib
import json
import os
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from provenance.canonical import canonical_json

from .errors import ManifestError
from .images import ImageFacts
from .manifest import Entry

FILES = 1000  # of one block
DISTINCT = 10_000
LABELS = 100_000
ANY_CLAIM = "images"

Refusal = tuple[str, str, str]  # path as shown, reason, outcome


# One taken file: its line in the manifest, CRC-32 and modification time in nanoseconds, and SHA-256 (32 bytes).
# A plain tuple: there is one per file of a dataset, in the hot loop.
Row = tuple[bytes, int, int, bytes]


@dataclass
class Counts:
    """What a manifest's facts are summed up from; sums of counts are counts.

    Of images beyond ``DISTINCT`` different ones only format, mode, orientation and bits are counted (their width and
    height stand as 0), and labels beyond ``LABELS`` different ones not one by one: memory stays flat.
    """

    images: Counter[ImageFacts] = field(default_factory=Counter)
    edges: list[int] = field(default_factory=list)  # least and greatest width, least and greatest height
    labels: Counter[str] = field(default_factory=Counter)
    labelled: int = 0
    captions: int = 0
    bytes: int = 0
    smallest: int | None = None
    largest: int = 0
    mixed_case: bool = False  # some path differs from its folded form, so that paths may clash
    # Images by what they claim (``claims.py``), and under ANY_CLAIM those that claim anything. None: nobody looked.
    claims: Counter[str] | None = field(default_factory=Counter)

    def add_image(self, facts: ImageFacts, number: int = 1) -> None:
        _, width, height, *_ = facts
        if not self.edges:
            self.edges = [width, width, height, height]
        low, high, least, most = self.edges
        self.edges = [min(low, width), max(high, width), min(least, height), max(most, height)]
        if facts not in self.images and len(self.images) >= DISTINCT:
            facts = facts._replace(width=0, height=0)
        self.images[facts] += number

    def add_entry(self, entry: Entry) -> None:
        """Count all that an entry says of its file."""
        facts = ImageFacts(entry.format, entry.width, entry.height, entry.mode, entry.orientation, entry.bits)
        self.add_image(facts)
        self.add_sizes([entry.size])
        if entry.label is not None:
            self.add_label(entry.label)
        self.captions += entry.caption is not None

    def add_label(self, label: str, number: int = 1) -> None:
        self.labelled += number
        if label in self.labels or len(self.labels) < LABELS:
            self.labels[label] += number

    def add_claims(self, claims: Sequence[str]) -> None:
        """Count an image that carries these claims."""
        if self.claims is not None:
            self.claims.update([ANY_CLAIM, *claims])

    def add_sizes(self, sizes: Sequence[int]) -> None:
        if sizes:
            self.bytes += sum(sizes)
            low = min(sizes)
            self.smallest = low if self.smallest is None else min(low, self.smallest)
            self.largest = max(self.largest, max(sizes))

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "images": [[*facts, n] for facts, n in self.images.items()], "labels": self.labels}

    def add(self, other: dict[str, Any]) -> None:
        """Add the counts that another block's ``to_json`` gave."""
        for *facts, number in other["images"]:
            self.add_image(ImageFacts(*facts), number)
        for label, number in other["labels"].items():
            self.add_label(label, number)
        self.captions += other["captions"]
        self.bytes += other["bytes"]
        if other["smallest"] is not None:
            self.smallest = other["smallest"] if self.smallest is None else min(self.smallest, other["smallest"])
        self.largest = max(self.largest, other["largest"])
        self.mixed_case |= other["mixed_case"]
        if other.get("claims") is None:
            self.claims = None
        elif self.claims is not None:
            self.claims.update(other["claims"])


@dataclass
class Block:
    """A block as read back from its file. Arrays are in the order of the paths."""

    lines: bytes
    lengths: "array[int]"  # of the lines with their newlines
    crcs: bytes
    mtimes: bytes
    leaves: bytes
    digests: bytes
    refused: list[Refusal]
    counts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.lengths)

    def starts(self) -> list[int]:
        """Where each line starts within ``lines``."""
        return [0, *accumulate(self.lengths)][:-1]


def block_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}"


_HEAD = struct.Struct("<8sI")
_MAGIC = b"tmblock1"


def write_block(folder: Path, number: int, rows: Sequence[Row], refused: Iterable[Refusal], counts: Counts) -> None:
    """Store a finished block. It appears whole or not at all."""
    sha256 = hashlib.sha256
    lines, crcs, mtimes, digests = zip(*rows, strict=True) if rows else ((), (), (), ())
    sections = (
        b"".join([line + b"\n" for line in lines]),
        array("I", [len(line) + 1 for line in lines]).tobytes(),
        array("I", crcs).tobytes(),
        array("q", mtimes).tobytes(),
        b"".join([sha256(b"\x00" + line).digest() for line in lines]),
        b"".join(digests),
        json.dumps(sorted(refused)).encode(),
        json.dumps(counts.to_json()).encode(),
    )
    head = struct.pack(f"<{len(sections)}Q", *map(len, sections))
    target = block_path(folder, number)
    draft = target.with_suffix(f".{os.getpid()}")
    with draft.open("wb") as file:
        file.write(_HEAD.pack(_MAGIC, len(sections)) + head)
        file.writelines(sections)
    draft.replace(target)


def read_counts(folder: Path, number: int) -> dict[str, Any]:
    """Only the counts of a stored block, which are its last section."""
    try:
        with block_path(folder, number).open("rb") as file:
            _, count = _HEAD.unpack(file.read(_HEAD.size))
            *_, length = struct.unpack(f"<{count}Q", file.read(8 * count))
            file.seek(-length, os.SEEK_END)
            counts: dict[str, Any] = json.loads(file.read())
            return counts
    except (OSError, ValueError, struct.error) as error:
        raise ManifestError(f"Block {number} of the unfinished manifest is missing or damaged.") from error


def read_block(folder: Path, number: int) -> Block:
    """The stored block; raises ``ManifestError`` where it is missing or damaged."""
    try:
        raw = block_path(folder, number).read_bytes()
        magic, count = _HEAD.unpack_from(raw)
        lengths = struct.unpack_from(f"<{count}Q", raw, _HEAD.size)
        at, sections = _HEAD.size + 8 * count, []
        for length in lengths:
            sections.append(raw[at : at + length])
            at += length
        if magic != _MAGIC or at != len(raw):
            raise ValueError("wrong length")
        lines, line_lengths, crcs, mtimes, leaves, digests, refused, counts = sections
        return Block(
            lines,
            array("I", line_lengths),
            crcs,
            mtimes,
            leaves,
            digests,
            [(path, reason, outcome) for path, reason, outcome in json.loads(refused)],
            json.loads(counts),
        )
    except (OSError, ValueError, struct.error) as error:
        raise ManifestError(f"Block {number} of the unfinished manifest is missing or damaged.") from error


def refusal_line(refusal: Refusal) -> bytes:
    path, reason, outcome = refusal
    return canonical_json({"outcome": outcome, "path": path, "reason": reason})
