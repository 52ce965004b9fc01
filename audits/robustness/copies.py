"""What somebody trains on: images of a pool, as they were published or as somebody has changed them. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audits.pilots.training_set import TrainingSet
from provenance.errors import TouchmarkError

Ints = NDArray[np.int64]


class RobustnessError(TouchmarkError):
    """Settings or images with which robustness cannot be measured; the sentence says what to change."""


@dataclass(frozen=True)
class Copy:
    """N images for training, and which picture of the pool each of them shows: pictures ``(N,) int64``."""

    data: TrainingSet
    pictures: Ints

    def __post_init__(self) -> None:
        if self.pictures.shape != (len(self.data),):
            raise RobustnessError("Every image of a copy shows one picture of the pool.")

    def __len__(self) -> int:
        return len(self.data)

    def of(self, which: Ints) -> Copy:
        """These images, in this order; one may come more than once."""
        captions, labels = self.data.captions, self.data.labels
        data = TrainingSet(
            self.data.images[which],
            None if captions is None else tuple(captions[number] for number in which),
            None if labels is None else labels[which],
        )
        return Copy(data, self.pictures[which])

    def looking(self, images: NDArray[np.uint8]) -> Copy:
        """The same pictures, captions and classes with other pixels."""
        return replace(self, data=replace(self.data, images=images))

    def reading(self, captions: tuple[str, ...]) -> Copy:
        """The same with other captions."""
        return replace(self, data=replace(self.data, captions=captions))


def joined(one: Copy, other: Copy) -> Copy:
    """All images of both, one behind the other."""
    captions = labels = None
    if one.data.captions is not None and other.data.captions is not None:
        captions = one.data.captions + other.data.captions
    if one.data.labels is not None and other.data.labels is not None:
        labels = np.concatenate([one.data.labels, other.data.labels])
    images = np.concatenate([one.data.images, other.data.images])
    return Copy(TrainingSet(images, captions, labels), np.concatenate([one.pictures, other.pictures]))
