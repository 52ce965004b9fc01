"""The images of a version that a pilot looks at, read once and scaled down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audits.pilots.pilot.pool import Chosen, Others, Pool, choose, keyed_order
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.recipe import PROMPT
from audits.pilots.training_set import read_images
from provenance.intake.manifest import Entry, Manifest
from provenance.marks import ImageBlocks
from provenance.marks.cluster_files import Entries, grouped_entries
from provenance.marks.groups import Grouping

PLAIN = ""  # key of the manifest's own entries beside those that bear clusters of a file

Told = Callable[[int, int], None] | None


def read_pool(
    manifest: Manifest, files: Path, settings: PilotSettings, whole: ImageBlocks | None, progress: Told = None
) -> Pool:
    """whole: the blocks of the version, where something is to stay home. Raises PilotError, TrainingError,
    ClusterFileError."""
    chosen = choose(len(manifest), settings.images, settings.drawn("images"), whole, settings.withheld)
    found = _read(manifest, chosen, settings)
    images = read_images(files, [entry.path for entry in (*found.learnt, *found.apart)], settings.pixels, progress)
    labels = _labels([*found.learnt, *found.apart])
    count = len(found.learnt)
    return Pool(
        entries=tuple(found.learnt),
        images=images[:count],
        labels=None if labels is None else labels[:count],
        captions=_captions(found.learnt),
        apart=images[count:],
        apart_labels=None if labels is None else labels[count:],
        files=files,
        blocks=chosen.blocks,
        counts=found.counts,
        of=len(manifest),
        clusters=found.clusters,
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


@dataclass(frozen=True)
class _Read:
    """Entries that are learnt and those kept apart, images of every group by proposal, and names of the clusters that
    the learnt ones are in, by the digest of their file."""

    learnt: list[Entry]
    apart: list[Entry]
    counts: tuple[tuple[int, ...], ...]
    clusters: dict[str, tuple[str | None, ...]]


def _read(manifest: Manifest, chosen: Chosen, settings: PilotSettings) -> _Read:
    """One pass. Raises ClusterFileError."""
    struck = [proposal.struck for proposal in settings.proposals]
    groupings = [(number, one.clusters, one.grouping()) for number, one in enumerate(struck) if one]
    counts = [[0] * max(1, len(one.groups)) if one else [] for one in struck]
    streams: dict[str, Entries] = {PLAIN: manifest} | {
        one.clusters: grouped_entries(manifest, one) for one in struck if one
    }
    names: dict[str, list[str | None]] = {digest: [] for digest in streams if digest != PLAIN}
    learnt, apart = np.zeros((2, len(manifest)), dtype=np.bool_)
    learnt[chosen.learnt] = apart[chosen.apart] = True
    found = _Read([], [], (), {})
    for index, (entry, *entries) in enumerate(zip(manifest, *streams.values(), strict=True)):
        grouped = dict(zip(streams, entries, strict=True))
        for number, digest, grouping in groupings:
            if (group := grouping.group_of(grouped[digest])) > Grouping.NONE:
                counts[number][group] += 1
        if apart[index]:
            found.apart.append(entry)
        elif learnt[index]:
            found.learnt.append(entry)
            for digest, of_images in names.items():
                of_images.append(grouped[digest].label)
    clusters = {digest: tuple(of_images) for digest, of_images in names.items()}
    return replace(found, counts=tuple(map(tuple, counts)), clusters=clusters)


def _labels(entries: list[Entry]) -> NDArray[np.int64] | None:
    """Numbers of the classes by their names; nothing where an image has none, or all have the same."""
    names = [entry.label for entry in entries if entry.label]
    if len(names) < len(entries) or len(set(names)) < 2:
        return None
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
