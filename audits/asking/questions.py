"""What a model is asked in one measurement, and in which order.

Marked probes go out in a keyed shuffle across patterns, within portions of up to 256 probes under up to 128 patterns,
so that memory stays small and a killed job loses one block. Why: docs/method.md, section 6.6.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audits.statistics.permutation import philox_from
from audits.suspects import AppliedMark, AppliedViews
from provenance.errors import TouchmarkError

BLOCK_IMAGES = 256
MOST_MIXED = 128  # patterns shuffled together
CLEAN, GROUPS, KEY, WRONG = "clean", "groups", "key", "wrong"
PROBES = "probes"
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))

Ints = NDArray[np.int64]


class Answered(Protocol):
    """Answers to B images: features (B, d) float32, soft labels (B, k) float32, hard labels (B,), cosines of the
    features with the own captions (B,) float32; some may be None."""

    @property
    def features(self) -> NDArray[np.float32] | None: ...
    @property
    def soft(self) -> NDArray[np.float32] | None: ...
    @property
    def hard(self) -> NDArray[np.int64] | None: ...
    @property
    def captions(self) -> NDArray[np.float32] | None: ...


class AskedModel(Protocol):
    """What a measurement needs of a model; `audits.suspects` provides it from inside its sandbox."""

    def load_images(self, name: str, images: NDArray[np.uint8]) -> int: ...

    def load_views(self, views: AppliedViews) -> None: ...

    def answer(self, name: str, indices: Ints, mark: AppliedMark | None = None) -> Answered: ...

    def answer_views(self, name: str, indices: Ints, views: Ints) -> Answered: ...


class Asking(Protocol):
    """What one model is asked in one measurement: by digest, in portions, each of which is loaded and asked its way."""

    @property
    def digest(self) -> str: ...

    def portions(self, patterns: range | None = None) -> Iterator[Portion]: ...

    def load(self, model: AskedModel, portion: Portion, loaded: set[str]) -> None: ...

    def ask(self, model: AskedModel, block: Block) -> Answered: ...


class MeasuringError(TouchmarkError):
    """A measurement that cannot be taken, or whose stored answers belong to another one."""


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
    group_of: Ints = field(repr=False)
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

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that is asked, in hex."""
        marks = [m for m in (self.marks, self.wrong_marks) if m is not None]
        arrays: list[NDArray[Any]] = [self.probes, self.group_images, self.group_of]
        arrays += [array for m in marks for array in (m.patterns, m.placements)]
        return digest_of(self.subject, arrays, [m.settings_json for m in marks])

    def load(self, model: AskedModel, portion: Portion, loaded: set[str]) -> None:
        """Probes and group images travel once, when they are first asked about."""
        source = portion.conditions[0].source
        if source not in loaded:
            model.load_images(source, self.probes if source == PROBES else self.group_images)
            loaded.add(source)

    def ask(self, model: AskedModel, block: Block) -> Answered:
        return model.answer(block.source, block.indices, block.mark)

    @property
    def forward_passes(self) -> int:
        """How many images the model is asked about."""
        return sum(portion.size for portion in self.portions())

    def portions(self, patterns: range | None = None) -> Iterator[Portion]:
        """Everything to ask, in order; or these of the release's patterns only, the rest coming with the first one."""
        with_rest = patterns is None or 0 in patterns
        if with_rest:
            yield from portions_of(self, [Condition(CLEAN, PROBES)], len(self.probes))
            yield from portions_of(self, [Condition(GROUPS, GROUPS)], len(self.group_images))
        numbers = range(len(self.marks.patterns)) if patterns is None else patterns
        marked = [Condition(f"{KEY}-{n:03d}", PROBES, self.marks, n) for n in numbers]
        if self.wrong_marks and with_rest:
            numbers = range(len(self.wrong_marks.patterns))
            marked += [Condition(f"{WRONG}-{n:03d}", PROBES, self.wrong_marks, n) for n in numbers]
        # One request carries marks of one family, so only those mix.
        for _, alike in groupby(marked, lambda condition: condition.settings_json):
            conditions = list(alike)
            for start in range(0, len(conditions), MOST_MIXED):
                yield from portions_of(self, conditions[start : start + MOST_MIXED], len(self.probes))


def digest_of(subject: str, arrays: Iterable[NDArray[Any]], texts: Iterable[str] = ()) -> str:
    """SHA-256 over what is asked, in hex."""
    state = hashlib.sha256(subject.encode())
    for part in arrays:
        state.update(json.dumps([part.dtype.str, part.shape]).encode())
        state.update(np.ascontiguousarray(part).data)
    for text in texts:
        state.update(text.encode())
    return state.hexdigest()


def portions_of(question: Asking, conditions: Sequence[Condition], count: int) -> Iterator[Portion]:
    """`count` images under these conditions, 256 of them at a time."""
    for part, start in enumerate(range(0, count, BLOCK_IMAGES)):
        indices = np.arange(start, min(start + BLOCK_IMAGES, count), dtype=np.int64)
        yield Portion(question, tuple(conditions), part, indices)


@dataclass(frozen=True)
class Condition:
    """Images of one source ("probes" or "groups"), as they are, with one pattern or in one view; `name` begins its
    files. pattern: the number of either.
    """

    name: str
    source: str
    marks: Marks | None = None
    pattern: int = 0

    @property
    def settings_json(self) -> str:
        return self.marks.settings_json if self.marks else ""


@dataclass(frozen=True)
class Portion:
    """Up to 256 images (n,) under K conditions that are asked about together: K n pairs in a shuffled order."""

    question: Asking
    conditions: tuple[Condition, ...]
    part: int
    indices: Ints

    @property
    def size(self) -> int:
        return len(self.conditions) * len(self.indices)

    @property
    def is_mixed(self) -> bool:
        return len(self.conditions) > 1

    @property
    def name(self) -> str:
        """The stem of the files of its blocks."""
        if not self.is_mixed:
            return self.stem(self.conditions[0])
        return f"mixed-{self.conditions[0].name}-{self.conditions[-1].name}.{self.part:04d}"

    def stem(self, condition: Condition) -> str:
        """The stem of the files that hold the answers under one condition, in the images' own order."""
        return f"{condition.name}.{self.part:04d}"

    @cached_property
    def order(self) -> Ints:
        """(K n,): which pair is asked at each place; pair k n + i is image i under condition k.

        By sorting raw 64-bit words, a stream that NumPy fixes for good: another attempt, and whoever sorts the answers
        back, draws the same.
        """
        if not self.is_mixed:
            return np.arange(self.size)
        words = philox_from(self.question.digest, f"order/{self.name}").bit_generator.random_raw(self.size)
        return np.argsort(words, kind="stable")

    def blocks(self) -> Iterator[Block]:
        for number, start in enumerate(range(0, self.size, BLOCK_IMAGES)):
            name = f"{self.name}.{number:04d}" if self.is_mixed else self.name
            yield Block(name, self, self.order[start : start + BLOCK_IMAGES])


@dataclass(frozen=True)
class Block:
    """Up to 256 pairs of a portion, which go out as one request; `name` is the stem of the files of its answers."""

    name: str
    portion: Portion
    pairs: Ints

    @property
    def source(self) -> str:
        return self.portion.conditions[0].source

    @property
    def indices(self) -> Ints:
        found: Ints = self.portion.indices[self.pairs % len(self.portion.indices)]
        return found

    @property
    def numbers(self) -> Ints:
        """Of the pattern or view that each image is asked about in."""
        every = np.array([condition.pattern for condition in self.portion.conditions], dtype=np.int64)
        found: Ints = every[self.pairs // len(self.portion.indices)]
        return found

    @property
    def mark(self) -> AppliedMark | None:
        """One pattern and one place per image."""
        conditions = self.portion.conditions
        if conditions[0].marks is None:
            return None
        asked = [conditions[k] for k in self.pairs // len(self.portion.indices)]
        marks = [(condition.marks, condition.pattern) for condition in asked]
        patterns = np.stack([m.patterns[pattern] for m, pattern in marks if m])
        places = np.stack([m.placements[i] for (m, _), i in zip(marks, self.indices, strict=True) if m])
        # In single precision a place just below one would become one, which lies outside the image.
        return AppliedMark(conditions[0].settings_json, patterns, np.minimum(places.astype(np.float32), _BELOW_ONE))
