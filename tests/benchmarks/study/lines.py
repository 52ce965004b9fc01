"""One training of the study: whose it is, what it sees, and the seeds and keys that follow from its name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audits.pilots.training_set import TrainingSet
from provenance.marks import KeyedChoice, WithheldSettings
from provenance.marks.keyed_choice import choose
from tests.benchmarks.study.cells import Cell
from tests.benchmarks.study.images import Labelled, blocks_by_class

TUNED_ON = 5_000  # images that the base of tuned weights saw
REFERENCES = ("reference", "whole", "base")


@dataclass(frozen=True)
class Line:
    """One training of a cell: a suspect with its key, or one of REFERENCES."""

    cell: Cell
    role: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.cell.name} {self.role} {self.number}"

    def folder(self, work: Path) -> Path:
        return work / self.cell.name / f"{self.role}-{self.number}"


def drawn(what: str) -> bytes:
    """32 bytes that follow from words, so that a run can be repeated."""
    return hashlib.sha256(f"study of withheld images: {what}".encode()).digest()


def seed_of(what: str) -> int:
    return int.from_bytes(drawn(f"seed of {what}")[:4], "big")


def choice_of(cell: Cell, number: int, labels: NDArray[np.int64]) -> KeyedChoice:
    """What the key of a suspect decides."""
    settings = WithheldSettings(blocking="0" * 64, block_size=cell.block_size, share=cell.at_home / cell.pool)
    key, beacon = (drawn(f"{what} of {cell.name} suspect {number}") for what in ("key", "beacon"))
    return choose(key, beacon, settings, blocks_by_class(labels, cell.block_size))


def pictures_needed(cell: Cell) -> int:
    return cell.pictures + cell.references * cell.published + (TUNED_ON if cell.tuned else 0)


def trained_on(line: Line, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the images that a line is trained on: the pool comes first, then those of each reference."""
    cell = line.cell
    if line.role == "whole":
        if not cell.versions:
            return np.arange(cell.pool)
        return np.arange(0, cell.pool, 2) + np.random.default_rng(seed_of(line.name)).integers(0, 2, cell.pictures)
    if line.role == "suspect":
        choice = choice_of(cell, line.number, labels[: cell.pool])
        return np.delete(np.arange(cell.pool), choice.positions[choice.home])
    before, count = line.number * cell.published, cell.published
    if line.role == "base":
        before, count = cell.references * cell.published, TUNED_ON
    if cell.pool + before + count > len(labels):
        raise SystemExit(f"There are not images enough for {line.name}.")
    return np.arange(cell.pool + before, cell.pool + before + count)


def set_for(cell: Cell, seen: Labelled) -> TrainingSet:
    captions = seen.captions if cell.method.learns_from == "captions" else None
    return TrainingSet(seen.images, captions=captions, labels=seen.labels)
