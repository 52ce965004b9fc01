"""The images of a version that a pilot looks at, read once and scaled down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audits.pilots.pilot.pool import Chosen, Others, Pool, choose, keyed_order
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.recipe import PROMPT
from audits.pilots.training_set import read_images
from provenance.intake.manifest import Entry, Manifest
from provenance.marks import ImageBlocks, MarkSettings
from provenance.marks.groups import Grouping

Told = Callable[[int, int], None] | None


def read_pool(
    manifest: Manifest, files: Path, settings: PilotSettings, whole: ImageBlocks | None, progress: Told = None
) -> Pool:
    """whole: the blocks of the version, where something is to stay home. Raises PilotError, TrainingError."""
    chosen = choose(len(manifest), settings.images, settings.drawn("images"), whole, settings.withheld)
    learnt, apart, counts = _entries(manifest, chosen, settings)
    images = read_images(files, [entry.path for entry in (*learnt, *apart)], settings.pixels, progress)
    labels = _labels([*learnt, *apart])
    count = len(learnt)
    return Pool(
        entries=tuple(learnt),
        images=images[:count],
        labels=None if labels is None else labels[:count],
        captions=_captions(learnt),
        apart=images[count:],
        apart_labels=None if labels is None else labels[count:],
        files=files,
        blocks=chosen.blocks,
        counts=counts,
        of=len(manifest),
    )


def read_others(manifest: Manifest, files: Path, settings: PilotSettings, most: int, progress: Told = None) -> Others:
    """Up to so many images of another version. Raises TrainingError."""
    chosen = np.zeros(len(manifest), dtype=np.bool_)
    chosen[keyed_order(len(manifest), settings.drawn("others"))[:most]] = True
    entries = [entry for index, entry in enumerate(manifest) if chosen[index]]
    order = keyed_order(len(entries), settings.drawn("order of others"))
    mixed = [entries[place] for place in order]
    captions = _captions(mixed)
    return Others(read_images(files, [entry.path for entry in mixed], settings.pixels, progress), captions)


def _captions(entries: list[Entry]) -> tuple[str, ...] | None:
    """Nothing where an image has neither caption nor class."""
    captions = [entry.caption or (PROMPT.format(entry.label) if entry.label else "") for entry in entries]
    return tuple(captions) if all(captions) else None


def _entries(
    manifest: Manifest, chosen: Chosen, settings: PilotSettings
) -> tuple[list[Entry], list[Entry], tuple[tuple[int, ...], ...]]:
    """One pass: entries that are learnt, those kept apart, and how many images every group of each proposal has."""
    struck: list[MarkSettings | None] = [proposal.struck for proposal in settings.proposals]
    groupings = [one.grouping() if one else None for one in struck]
    counts = [[0] * max(1, len(one.groups)) if one else [] for one in struck]
    which = np.zeros(len(manifest), dtype=np.int8)
    which[chosen.learnt], which[chosen.apart] = 1, 2
    kept: dict[int, list[Entry]] = {1: [], 2: []}
    for index, entry in enumerate(manifest):
        for grouping, found in zip(groupings, counts, strict=True):
            if grouping and (group := grouping.group_of(entry)) > Grouping.NONE:
                found[group] += 1
        if which[index]:
            kept[int(which[index])].append(entry)
    return kept[1], kept[2], tuple(map(tuple, counts))


def _labels(entries: list[Entry]) -> NDArray[np.int64] | None:
    """Numbers of the classes by their names; nothing where an image has none, or all have the same."""
    names = [entry.label for entry in entries if entry.label]
    if len(names) < len(entries) or len(set(names)) < 2:
        return None
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
