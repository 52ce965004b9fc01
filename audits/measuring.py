"""One measurement: everything that one model is asked about one release, block by block.

(G + 1) N answers to probes (clean, and marked with each of G patterns at the same places), answers to the owner's
clean images of every group, and, as a control, G N answers to the marks of a key drawn for the purpose. Every block is
written to disk as soon as it is answered, so a killed job resumes where it was. All levels come from the same answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audits.suspects import AppliedMark
from provenance.errors import TouchmarkError

BLOCK_IMAGES = 256
CLEAN, GROUPS, KEY, WRONG = "clean", "groups", "key", "wrong"
KINDS = ("features", "soft", "hard")
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


class MeasuringError(TouchmarkError):
    """A measurement that cannot be taken, or whose stored answers belong to another one."""


class Answered(Protocol):
    """Answers to B images: features (B, d) float32, soft labels (B, k) float32, hard labels (B,); some may be None."""

    @property
    def features(self) -> NDArray[np.float32] | None: ...
    @property
    def soft(self) -> NDArray[np.float32] | None: ...
    @property
    def hard(self) -> NDArray[np.int64] | None: ...


class AskedModel(Protocol):
    """What a measurement needs of a model; `audits.suspects` provides it from inside its sandbox."""

    def load_images(self, name: str, images: NDArray[np.uint8]) -> int: ...

    def answer(self, name: str, indices: NDArray[np.int64], mark: AppliedMark | None = None) -> Answered: ...


@dataclass(frozen=True)
class Marks:
    """G patterns and where they go in every probe; secret, so never shown.

    settings_json: public mark settings; patterns (G, ...) uint8; placements (N, 2) fractions in [0, 1).
    """

    settings_json: str
    patterns: NDArray[np.uint8] = field(repr=False)
    placements: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class Question:
    """What one model is asked about one release.

    probes (N, H, W, 3) uint8; group_images (M, H, W, 3) uint8; group_of (M,) group of every group image; marks of the
    release; wrong_marks of a key drawn as a control, or None; subject: names the model and the release, so that
    answers of another one are never taken for these.
    """

    subject: str
    probes: NDArray[np.uint8] = field(repr=False)
    group_images: NDArray[np.uint8] = field(repr=False)
    group_of: NDArray[np.int64] = field(repr=False)
    marks: Marks
    wrong_marks: Marks | None = None

    def __post_init__(self) -> None:
        if len(self.probes) < 2:
            raise MeasuringError("A measurement needs at least two probes.")
        for marks in (self.marks, self.wrong_marks):
            if marks is not None and marks.placements.shape != (len(self.probes), 2):
                raise MeasuringError("Every probe needs a place for its mark.")
        if self.group_of.shape != (len(self.group_images),):
            raise MeasuringError("Every group image needs its group.")

    @property
    def digest(self) -> str:
        """SHA-256 over all that is asked, in hex."""
        state = hashlib.sha256(self.subject.encode())
        marks = [m for m in (self.marks, self.wrong_marks) if m is not None]
        arrays: list[NDArray[Any]] = [self.probes, self.group_images, self.group_of]
        arrays += [array for m in marks for array in (m.patterns, m.placements)]
        for part in arrays:
            state.update(json.dumps([part.dtype.str, part.shape]).encode())
            state.update(np.ascontiguousarray(part).data)
        for m in marks:
            state.update(m.settings_json.encode())
        return state.hexdigest()

    @property
    def forward_passes(self) -> int:
        """How many images the model is asked about."""
        return sum(len(block.indices) for block in self.blocks())

    def blocks(self, patterns: range | None = None) -> Iterator[Block]:
        """Everything to ask, in order; or these of the release's patterns only, the rest coming with the first one."""
        if patterns is None or 0 in patterns:
            yield from _chunks(CLEAN, "probes", len(self.probes), None)
            yield from _chunks(GROUPS, "groups", len(self.group_images), None)
        for pattern in range(len(self.marks.patterns)) if patterns is None else patterns:
            yield from _chunks(f"{KEY}-{pattern:03d}", "probes", len(self.probes), self.marks, pattern)
        if self.wrong_marks and (patterns is None or 0 in patterns):
            for pattern in range(len(self.wrong_marks.patterns)):
                yield from _chunks(f"{WRONG}-{pattern:03d}", "probes", len(self.probes), self.wrong_marks, pattern)


@dataclass(frozen=True)
class Block:
    """Up to 256 images of one condition; `name` is the stem of the files that hold its answers."""

    name: str
    source: str
    indices: NDArray[np.int64]
    marks: Marks | None
    pattern: int = 0

    @property
    def mark(self) -> AppliedMark | None:
        if self.marks is None:
            return None
        pattern = self.marks.patterns[self.pattern : self.pattern + 1]
        # In single precision a place just below one would become one, which lies outside the image.
        places = np.minimum(self.marks.placements[self.indices].astype(np.float32), _BELOW_ONE)
        return AppliedMark(self.marks.settings_json, pattern, places)


def _chunks(name: str, source: str, count: int, marks: Marks | None, pattern: int = 0) -> Iterator[Block]:
    for part, start in enumerate(range(0, count, BLOCK_IMAGES)):
        indices = np.arange(start, min(start + BLOCK_IMAGES, count), dtype=np.int64)
        yield Block(f"{name}.{part:04d}", source, indices, marks, pattern)


class Answers:
    """Stored answers of one measurement, read one condition at a time so that memory stays small."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, kind: str) -> bool:
        """Whether the model gave "features", "soft" or "hard" labels."""
        return (self.folder / f"{CLEAN}.0000.{kind}.npy").exists()

    def read(self, condition: str, kind: str) -> NDArray[np.float32]:
        """All answers of one condition ("clean", "groups", "key-003" …): (N, d) float32; hard labels are (N, 1)."""
        parts = sorted(self.folder.glob(f"{condition}.*.{kind}.npy"))
        if not parts:
            raise MeasuringError(f"The answers of this measurement are not complete: {condition} is missing.")
        return np.concatenate([np.load(part, allow_pickle=False) for part in parts])

    def largest(self, kind: str) -> int:
        """The largest value in all answers of a kind: the highest hard label that the model ever gave."""
        tables = (np.load(part, allow_pickle=False) for part in self.folder.glob(f"*.{kind}.npy"))
        return int(max((np.nanmax(table) for table in tables if not np.isnan(table).all()), default=0))

    @property
    def has_wrong_key(self) -> bool:
        return any(self.folder.glob(f"{WRONG}-000.*"))


def measure(
    question: Question,
    folder: Path,
    model: AskedModel,
    on_block: Callable[[int], None],
    patterns: range | None = None,
) -> Answers:
    """Ask what is not answered yet; returns all answers.

    folder: where the blocks are kept; on_block: told how many images the last block answered (blocks from an earlier
    attempt too); it may raise to stop, and nothing that was answered is lost; patterns: ask about these only, as in
    `Question.blocks`, where a test may be over before all are needed. Raises MeasuringError if the folder
    holds answers to another question.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, question)
    loaded: set[str] = set()
    for block in question.blocks(patterns):
        if not _is_answered(folder, block):
            if block.source not in loaded:
                model.load_images(block.source, question.probes if block.source == "probes" else question.group_images)
                loaded.add(block.source)
            _store(folder, block, model.answer(block.source, block.indices, block.mark))
        on_block(len(block.indices))
    return Answers(folder)


def _claim(folder: Path, question: Question) -> None:
    note, digest = folder / "question.sha256", question.digest
    if not note.exists():
        _write(note, lambda path: path.write_text(digest))
    elif note.read_text() != digest:
        raise MeasuringError("The answers kept so far belong to other images or marks; start a new audit.", str(folder))


def _is_answered(folder: Path, block: Block) -> bool:
    return (folder / f"{block.name}.done").exists()


def _store(folder: Path, block: Block, answers: Answered) -> None:
    given = {kind: getattr(answers, kind) for kind in KINDS if getattr(answers, kind) is not None}
    if not given:
        raise MeasuringError("The model gave neither features nor labels.")
    for kind, values in given.items():
        table = np.asarray(values, dtype=np.float32)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or len(table) != len(block.indices):
            raise MeasuringError(f"The model answered {values.shape} to {len(block.indices)} images.")
        _write(folder / f"{block.name}.{kind}.npy", partial(_save, table))
    # The note comes last: a block that was half written when the job was killed is asked again.
    _write(folder / f"{block.name}.done", lambda path: path.write_text(""))


def _save(table: NDArray[np.float32], path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, table, allow_pickle=False)


def _write(path: Path, fill: Callable[[Path], Any]) -> None:
    """All or nothing: a reader never sees half a file."""
    part = path.with_name(path.name + ".part")
    fill(part)
    part.replace(path)
