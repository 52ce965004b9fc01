"""Images of one dataset in four parts: what the owner has, what references learn, what an evader has, and a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import Ints, RobustnessError
from audits.robustness.settings import PARTS
from audits.robustness.suspects import Task


@dataclass(frozen=True)
class Stock:
    """No image is in two parts. task: None where the images have no classes.

    captions: the pool's own, None where an image learns by its class as a prompt; None altogether where all do.
    """

    pool: TrainingSet
    others: TrainingSet
    clean: TrainingSet
    task: Task | None
    captions: tuple[str | None, ...] | None = None

    @property
    def all_learn_every_class(self) -> bool:
        """Whether each part from which somebody learns has images of all classes."""
        parts = (self.pool.labels, self.others.labels, self.clean.labels)
        return all(labels is not None and len(np.unique(labels)) == len(self.names) for labels in parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return () if self.task is None else self.task.names


def divided(
    data: TrainingSet, names: tuple[str, ...], seed: int, captions: Sequence[str | None] | None = None
) -> Stock:
    """names: of the classes that the labels number; empty where there are none. captions: the images' own, which an
    audit asks about, where those to learn from may be prompts. Raises RobustnessError.

    Parts hold the classes alike, as far as they come out even, and so do the halves of the task.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(data))
    if data.labels is not None:
        order = order[np.argsort(_turn(data.labels[order]), kind="stable")]
    ends = np.cumsum([0, *(part * len(data) // sum(PARTS) for part in PARTS)])
    places = [np.sort(order[start:end]) for start, end in pairwise(ends)]
    places[-1] = order[ends[-2] : ends[-1]]  # classes in turn: one half learns what the other is asked about
    pool, others, clean, task = (_part(data, which) for which in places)
    own = None if captions is None else tuple(captions[number] for number in places[0])
    if not names or task.labels is None:
        return Stock(pool, others, clean, None, own)
    if len(np.unique(task.labels[: len(task) // 2])) < 2:
        raise RobustnessError("There are too few images of two classes for a task; take more images.")
    return Stock(pool, others, clean, Task(task.images, task.labels, names), own)


def _turn(labels: Ints) -> Ints:
    """Of every image, how many of its class come before it: sorted by it, classes take turns."""
    turns = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        turns[own] = np.arange(len(own))
    return turns


def _part(data: TrainingSet, which: Ints) -> TrainingSet:
    captions = None if data.captions is None else tuple(data.captions[number] for number in which)
    return TrainingSet(data.images[which], captions, None if data.labels is None else data.labels[which])
