"""What single trainings of a pilot learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from audits.pilots.augmentation import channels_first
from audits.pilots.pilot.copies import StruckCopy
from audits.pilots.pilot.found import Looks
from audits.pilots.pilot.pool import Pool, Scaled
from audits.pilots.pilot.variations import Variation
from audits.pilots.training_set import TrainingSet
from provenance.marks import KeyedChoice

AT_ONCE = 1024


@dataclass(frozen=True)
class Made:
    """What a suspect learns from: positions in the pool, and what its key decided."""

    images: NDArray[np.uint8]
    published: NDArray[np.int64]
    scaled: Scaled
    copy: StruckCopy | None = None
    choice: KeyedChoice | None = None

    @property
    def looks(self) -> Looks | None:
        return self.copy.looks if self.copy else None

    @property
    def marked(self) -> int:
        """Images with a mark, or units that stay home."""
        return self.copy.looks.marked if self.copy else len(self.choice or ())


def training_set(pool: Pool, made: Made | None, variation: Variation | None = None) -> TrainingSet:
    """Of a suspect, or of a twin where nothing was made; at another size or with other images where that is varied."""
    images, chosen = (made.images, made.published) if made else (pool.images, np.arange(len(pool)))
    found = TrainingSet(
        images[chosen],
        captions=tuple(pool.captions[place] for place in chosen) if pool.captions is not None else None,
        labels=pool.labels[chosen] if pool.labels is not None else None,
    )
    if variation and variation.mixed:
        return _mixed(found, pool, variation.others(len(found)))
    if variation and variation.side:
        return TrainingSet(resized(found.images, variation.side), found.captions, found.labels)
    return found


def _mixed(own: TrainingSet, pool: Pool, count: int) -> TrainingSet:
    more = pool.others
    assert more is not None  # noqa: S101 - `check` refuses pilots without
    captions = own.captions + more.captions[:count] if own.captions and more.captions else None
    return TrainingSet(np.concatenate([own.images, more.images[:count]]), captions=captions)


def resized(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(N, S, S, 3) as (N, side, side, 3)."""
    parts = [
        functional.interpolate(
            channels_first(torch.from_numpy(part)).float(), (side, side), mode="bilinear", antialias=True
        )
        for part in np.array_split(images, max(1, len(images) // AT_ONCE))
    ]
    return torch.cat(parts).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
