"""What one round of calibration asks of every null model: probes, places, pattern sets and a pool of plain keys.

A bench is drawn anew for every round, by the very code that releases use, and shared by all models of the round
(docs/method.md, section 8.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audits.asking.views import ViewSettings, applied, drawn_views
from audits.suspects import AppliedViews
from provenance.errors import TouchmarkError
from provenance.marks import MarkSecret, MarkSettings


class BenchError(TouchmarkError):
    """Images from which no bench can be drawn; the sentence says what is missing."""


@dataclass(frozen=True)
class BenchSize:
    """How much a round asks of every model.

    groups: G. probes: N. per_group: clean images of every group. sets: pattern sets for associated marks. keys: plain
    keys, true ones and decoys together. views: views per image for the test of view consistency, 0 for none.
    choice_views: of every group image, for keyed choices among them.
    """

    groups: int = 6
    probes: int = 32
    per_group: int = 8
    sets: int = 2
    keys: int = 40
    views: int = 3
    choice_views: int = 4

    @property
    def passes(self) -> int:
        """Images that every model is asked about: probes clean and under every pattern, group images and views."""
        patterns = self.sets * self.groups + self.keys
        return self.probes * (1 + patterns) + self.groups * self.per_group * (1 + self.views + self.choice_views)


@dataclass(frozen=True)
class Bench:
    """One round's questions; S sets, G groups, K plain keys, N probes, M group images, V views of each."""

    settings: MarkSettings  # of the associated marks
    probes: NDArray[np.uint8]  # (N, H, W, 3)
    places: NDArray[np.float64]  # (N, 2) fractions
    group_images: NDArray[np.uint8]  # (M, H, W, 3)
    group_of: NDArray[np.int64]  # (M,)
    pattern_sets: NDArray[np.uint8]  # (S, G, ...)
    plain_patterns: NDArray[np.uint8]  # (K, ...)
    views: NDArray[np.uint8] | None  # (M, V, H, W, 3) of the group images
    choice_views: AppliedViews  # of the group images, as an audit asks about them
    spare_images: NDArray[np.uint8]  # (n, H, W, 3): all the rest, for null models to settle or train on
    spare_labels: NDArray[np.int64]  # (n,)

    @property
    def groups(self) -> int:
        return len(self.settings.groups)


def plain_settings(settings: MarkSettings) -> MarkSettings:
    """The same family and strength for plain marks: what plain keys of a bench are derived with."""
    return settings.replace(
        groups=(), association="plain", group_by="class", clusters="", size_classes=(), forbidden=()
    )


def draw_bench(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    settings: MarkSettings,
    size: BenchSize,
    seed: int,
) -> Bench:
    """Draw a round from a stock of images (n, H, W, 3) uint8 with labels (n,) 0 to classes - 1.

    settings: marks to calibrate, with size.groups groups; plain marks are of the same family and strength. Raises
    BenchError where images are too few.
    """
    rng = np.random.default_rng(seed)
    if len(settings.groups) != size.groups:
        raise BenchError(f"The mark settings name {len(settings.groups)} groups, the bench has {size.groups}.")
    present = np.unique(labels)
    if len(present) < size.groups:
        raise BenchError(f"The images have {len(present)} classes; {size.groups} groups were asked for.")
    chosen = rng.choice(present, size.groups, replace=False)
    members = [rng.permutation(np.flatnonzero(labels == label)) for label in chosen]
    if min(map(len, members)) < 2 * size.per_group:
        raise BenchError(f"Every class needs at least {2 * size.per_group} images.")
    of_groups = np.concatenate([member[: size.per_group] for member in members])
    rest = rng.permutation(np.setdiff1d(np.arange(len(images)), of_groups))
    if len(rest) < 2 * size.probes:
        raise BenchError(f"At least {2 * size.probes + len(of_groups)} images are needed.")
    group_images = images[of_groups]
    plain = plain_settings(settings)
    views = None
    if size.views:
        from audits.other_tests import random_views

        views = random_views(group_images, size.views, rng)
    return Bench(
        settings=settings,
        probes=images[rest[: size.probes]],
        places=rng.uniform(size=(size.probes, 2)),
        group_images=group_images,
        group_of=np.repeat(np.arange(size.groups), size.per_group),
        pattern_sets=np.stack([MarkSecret.derive(*_key(rng), settings).patterns for _ in range(size.sets)]),
        plain_patterns=np.concatenate([MarkSecret.derive(*_key(rng), plain).patterns for _ in range(size.keys)]),
        views=views,
        choice_views=applied(drawn_views(ViewSettings(size.choice_views), rng), images.shape[1]),
        spare_images=images[rest[size.probes :]],
        spare_labels=np.asarray(labels, dtype=np.int64)[rest[size.probes :]],
    )


def _key(rng: np.random.Generator) -> tuple[bytes, bytes]:
    """A key and a beacon that nobody keeps."""
    return rng.bytes(32), rng.bytes(32)
