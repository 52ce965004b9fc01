"""What a model is asked about the alternatives of a keyed choice: views of each, never the picture itself.

Published and withheld ones alike, in an order and shuffle that no choice enters (docs/method.md, section 12).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audits.asking.questions import (
    BLOCK_IMAGES,
    Answered,
    AskedModel,
    Block,
    Condition,
    MeasuringError,
    Portion,
    digest_of,
    portions_of,
)
from audits.suspects import Answers, AppliedViews

ALTERNATIVES = "alternatives"
VIEWS_SENT = "views"
FIRST_PART = "view-000.0000"


@runtime_checkable
class ReadsCaptions(Protocol):
    """A model with a text tower: its answers to images of that name then bring cosines with their captions."""

    def load_captions(self, name: str, captions: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class ViewQuestion:
    """What one model is asked about one release's keyed choice.

    images (n, S, S, 3) uint8, one for every alternative, often mapped from a file; views of that size; subject: names
    model, release and plan, so that answers to another question are never taken for these. captions: of the images,
    None where one has none; None altogether: nothing is asked about captions.
    """

    subject: str
    images: NDArray[np.uint8] = field(repr=False)
    views: AppliedViews = field(repr=False)
    captions: Sequence[str | None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.images) < 2 or self.images.shape[1:] != (self.views.size, self.views.size, 3):
            raise MeasuringError("A keyed choice needs two alternatives or more, of the size of the views.")
        if self.captions is not None and len(self.captions) != len(self.images):
            raise MeasuringError("Every alternative needs its caption, or to be said to have none.")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all that is asked, in hex."""
        texts = [] if self.captions is None else [json.dumps(list(self.captions))]
        return digest_of(self.subject, [self.images, *self.views.arrays().values()], texts)

    @property
    def forward_passes(self) -> int:
        """How many images the model is asked about."""
        return len(self.images) * len(self.views)

    def portions(self, patterns: range | None = None) -> Iterator[Portion]:
        """All views of 256 images at a time, shuffled; patterns: of the images with these numbers only."""
        conditions = [Condition(f"view-{number:03d}", ALTERNATIVES, None, number) for number in range(len(self.views))]
        for portion in portions_of(self, conditions, len(self.images)):
            if patterns is None or int(portion.indices[0]) in patterns:
                yield portion

    def load(self, model: AskedModel, portion: Portion, loaded: set[str]) -> None:
        """One portion's images at a time, each sent once: a model need not hold all of them."""
        if VIEWS_SENT not in loaded:
            model.load_views(self.views)
            loaded.add(VIEWS_SENT)
        name = f"{ALTERNATIVES}.{portion.part}"
        if name not in loaded:
            start, stop = int(portion.indices[0]), int(portion.indices[-1]) + 1
            model.load_images(ALTERNATIVES, np.ascontiguousarray(self.images[start:stop]))
            if self.captions is not None:
                _send(model, [caption or "" for caption in self.captions[start:stop]])
            loaded.add(name)

    def ask(self, model: AskedModel, block: Block) -> Answered:
        places = block.indices - block.portion.indices[0]
        given = model.answer_views(ALTERNATIVES, places, block.numbers)
        if self.captions is None or given.captions is None:
            return given
        has_one = np.array([self.captions[place] is not None for place in block.indices])
        captions = np.where(has_one, given.captions, np.float32("nan"))
        return Answers(given.features, given.soft, given.hard, captions)


def _send(model: AskedModel, captions: Sequence[str]) -> None:
    if not isinstance(model, ReadsCaptions):
        raise MeasuringError("This model cannot be asked about captions.")
    model.load_captions(ALTERNATIVES, captions)


class ViewAnswers:
    """Stored answers to views, read one portion at a time so that memory stays small."""

    def __init__(self, folder: Path, images: int) -> None:
        """images: the first ones only are read, for a look before all were asked about."""
        self.folder, self.images = folder, images
        self.views = len({path.name.split(".")[0] for path in folder.glob("view-*.0000.done")})

    def has(self, kind: str) -> bool:
        """Whether the model gave "features", "soft" or "hard" labels, or was asked about "captions"."""
        return (self.folder / f"{FIRST_PART}.{kind}.npy").exists()

    def parts(self, kind: str) -> Iterator[NDArray[np.float32]]:
        """(m, V, d) for up to 256 images at a time; hard labels and captions' cosines are (m, V, 1)."""
        for part, start in enumerate(range(0, self.images, BLOCK_IMAGES)):
            names = [self.folder / f"view-{view:03d}.{part:04d}.{kind}.npy" for view in range(self.views)]
            if not names or not all(name.exists() for name in names):
                raise MeasuringError("The answers of this measurement are not complete: views are missing.")
            tables = [np.load(name, allow_pickle=False) for name in names]
            yield np.stack(tables, axis=1)[: self.images - start]
