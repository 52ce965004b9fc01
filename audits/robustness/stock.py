"""Images of one dataset in four parts: what the owner has, what references learn, what an evader has, and a task."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import Ints, RobustnessError
from audits.robustness.settings import PARTS
from audits.robustness.suspects import Task


@dataclass(frozen=True)
class Stock:
    """No image is in two parts. task: None where the images have no classes."""

    pool: TrainingSet
    others: TrainingSet
    clean: TrainingSet
    task: Task | None

    @property
    def all_learn_every_class(self) -> bool:
        """Whether each part from which somebody learns has images of all classes."""
        parts = (self.pool.labels, self.others.labels, self.clean.labels)
        return all(labels is not None and len(np.unique(labels)) == len(self.names) for labels in parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return () if self.task is None else self.task.names


def divided(data: TrainingSet, names: tuple[str, ...], seed: int) -> Stock:
    """names: of the classes that the labels number; empty where there are none. Raises RobustnessError.

    Parts hold the classes alike, as far as they come out even.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(data))
    if data.labels is not None:
        order = order[np.argsort(_turn(data.labels[order]), kind="stable")]
    ends = np.cumsum([0, *(part * len(data) // sum(PARTS) for part in PARTS)])
    pool, others, clean, task = (_part(data, np.sort(order[start:end])) for start, end in pairwise(ends))
    if not names or task.labels is None:
        return Stock(pool, others, clean, None)
    if len(np.unique(task.labels[: len(task) // 2])) < 2:
        raise RobustnessError("There are too few images of two classes for a task; take more images.")
    return Stock(pool, others, clean, Task(task.images, task.labels, names))


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
