"""Attacks that train on fewer images: near-duplicates and outliers are left out. No torch."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audits.pilots.checked import real, whole
from audits.robustness.attacks.attack import CopyAttack
from audits.robustness.copies import Copy, Ints
from provenance.near_duplicates.grouping import near_groups
from provenance.near_duplicates.pdq import pdq
from provenance.wording import percent

if TYPE_CHECKING:  # loads torch
    from audits.robustness.evader import Evader

Floats = NDArray[np.float64]
FLAT = 50  # PDQ's quality below which hashes say nothing


@dataclass(frozen=True)
class Deduplicated(CopyAttack):
    name = "deduplicate"
    changes = "keeps one of all images that look alike (PDQ)"

    @property
    def title(self) -> str:
        return "deduplication by PDQ"

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        words, plain = np.empty((len(copy), 4), dtype=np.uint64), list[int]()
        for number, image in enumerate(copy.data.images):
            evader.told()
            found = pdq(image)
            words[number] = np.packbits(found.bits).view(np.uint64)
            if found.quality < FLAT:
                plain.append(number)
        group = near_groups(words)
        first = np.zeros(len(copy), dtype=np.bool_)
        first[np.unique(group, return_index=True)[1]] = True
        first[plain] = True  # flat images all collide: whether they are alike nobody can tell
        return copy.of(np.flatnonzero(first).astype(np.int64))


@dataclass(frozen=True)
class OutliersLeftOut(CopyAttack):
    share: float = real(0.001, 0.9, 0.05)

    @property
    def title(self) -> str:
        return f"{percent(self.share)} outliers left out, {self.by}"

    @property
    @abstractmethod
    def by(self) -> str:
        """How outliers are told."""

    def copied(self, copy: Copy, evader: Evader) -> Copy:
        features = evader.features(copy.data.images)
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        unit: Floats = np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
        evader.told()
        strange = self.strangeness(unit, evader.seed)
        kept: Ints = np.sort(np.argsort(strange, kind="stable")[: round((1 - self.share) * len(copy))])
        return copy.of(kept)

    @abstractmethod
    def strangeness(self, features: Floats, seed: int) -> Floats:
        """(N,) larger for outliers among features (N, d) of length one."""


@dataclass(frozen=True)
class ByDistance(OutliersLeftOut):
    name = "k-distance"
    changes = "leaves out images whose k-th nearest neighbour in features is far"
    neighbours: int = whole(1, 1000, 10)
    by = "k-distance"

    def strangeness(self, features: Floats, seed: int) -> Floats:
        return k_distance(features, features, min(self.neighbours + 1, len(features)))  # each is its own nearest


@dataclass(frozen=True)
class ByLocalFactor(OutliersLeftOut):
    """Breunig et al. 2000."""

    name = "local-outlier-factor"
    changes = "leaves out images whose surroundings in features are sparser than their neighbours'"
    neighbours: int = whole(1, 1000, 20)
    by = "local outlier factor"

    def strangeness(self, features: Floats, seed: int) -> Floats:
        from sklearn.neighbors import LocalOutlierFactor

        found = LocalOutlierFactor(min(self.neighbours, len(features) - 1)).fit(features)
        factors: Floats = -found.negative_outlier_factor_
        return factors


@dataclass(frozen=True)
class ByForest(OutliersLeftOut):
    """Liu et al. 2008."""

    name = "isolation-forest"
    changes = "leaves out images that random splits of features isolate soon"
    by = "isolation forest"

    def strangeness(self, features: Floats, seed: int) -> Floats:
        from sklearn.ensemble import IsolationForest

        found: Floats = -IsolationForest(random_state=seed % 2**32).fit(features).score_samples(features)
        return found


def k_distance(features: Floats, among: Floats, k: int) -> Floats:
    """(N,) Euclidean distance of each of features (N, d) to the k-th nearest of (M, d)."""
    from sklearn.neighbors import NearestNeighbors

    found: Floats = NearestNeighbors(n_neighbors=k).fit(among).kneighbors(features)[0][:, -1]
    return found
