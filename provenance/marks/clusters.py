"""Groups of equal size from an encoder's features, so that no labels are needed. NumPy and scikit-learn; no Django.

Balanced k-means, streamed: docs/method.md, section 2.6 (M. Cuturi, Sinkhorn Distances, NIPS 2013). Time O(n k d), and
memory for the sample, one block and about 32 bytes an image: docs/architecture.md, "Memory that does not grow".
"""

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance import wording
from provenance.errors import TouchmarkError
from provenance.marks.directions import BLOCK, in_blocks, in_parts, prepared, readable_rows, sampled

NONE = np.iinfo(np.uint16).max  # the cluster of an image that has no features: it could not be read
LEAST_IMAGES = 2  # per cluster
ROUNDS = 8
SWEEPS = 12  # of Sinkhorn's iteration in every round
HOTTEST, COLDEST = 0.5, 0.05  # temperatures, in deviations of the squared distances

Told = Callable[[int, int, str], None]


class ClusteringError(TouchmarkError):
    """These images cannot be grouped as asked; the sentence says what to change."""


@dataclass(frozen=True)
class Clustered:
    """Every image's cluster."""

    labels: NDArray[np.uint16]  # (n,), from 0 in the order in which clusters first occur; NONE without features
    sizes: tuple[int, ...]  # images of every cluster; they differ by one at most
    inertia: float  # mean squared distance of an image to the centre of its cluster, in [0, 4]
    moved: int  # images that equal sizes took from the cluster which their prices had given them
    left_out: int  # images without features


def balanced_clusters(
    features: NDArray[np.floating],
    count: int,
    seed: int,
    *,
    scratch: Path | None = None,
    told: Told = lambda done, total, phase: None,
) -> Clustered:
    """Groups rows into `count` >= 2 clusters of equal size; equal features and seed give equal ones on one machine.

    features: (n, d) float16 or float32, in memory or mapped; a row that is not finite or all zero belongs to none.
    scratch: for the costs; None: the system's own. told: (done, total, phase); it may raise to stop. Raises
    ClusteringError.
    """
    from threadpoolctl import threadpool_limits

    if features.ndim != 2 or count < 2 or seed < 0:
        raise ClusteringError("Clusters need a table of features, at least 2 groups and a seed of at least 0.")
    # The order of sums must not depend on the number of processors. On another kind of processor their last digits,
    # and so single images, may differ all the same.
    with threadpool_limits(1):
        rows = np.flatnonzero(readable_rows(features))
        if len(rows) < LEAST_IMAGES * count:
            raise ClusteringError(
                f"{wording.count(len(rows))} readable images are too few for {count} clusters; ask for fewer clusters."
            )
        sample, mean = sampled(features, rows, seed)
        told(0, ROUNDS, "finding centres")
        centres = _first_centres(sample, count, seed)
        centres, prices = _balanced_centres(sample, centres, told)
        del sample
        with tempfile.NamedTemporaryFile(dir=scratch, prefix="costs-") as file:
            costs = np.memmap(file.name, dtype=np.float32, mode="w+", shape=(len(rows), count))
            for start, block in in_blocks(features, rows):
                costs[start : start + len(block)] = _distances(prepared(block, mean), centres) + prices
                told(start, len(rows), "assigning images")
            chosen, moved = _equalised(costs, told)
            own = (float(costs[start : start + BLOCK][np.arange(len(part)), part].sum(dtype=np.float64))
                   for start, part in in_parts(chosen))  # fmt: skip
            inertia = (sum(own) - float(prices[chosen].sum(dtype=np.float64))) / len(rows)
            del costs
    labels = np.full(len(features), NONE, dtype=np.uint16)
    labels[rows] = _in_order_of_appearance(chosen, count)
    sizes = np.bincount(labels[rows], minlength=count)
    return Clustered(labels, tuple(int(size) for size in sizes), inertia, moved, len(features) - len(rows))


def _distances(block: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """(B, k) squared Euclidean distances."""
    ours = np.einsum("ij,ij->i", block, block)[:, None]
    theirs = np.einsum("ij,ij->i", centres, centres)
    distances: NDArray[np.float32] = np.maximum(ours + theirs - 2 * (block @ centres.T), 0)
    return distances


def _first_centres(sample: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    found = MiniBatchKMeans(
        count, random_state=seed % 2**32, n_init=3, batch_size=4096, max_iter=10, compute_labels=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than clusters: sizes still agree
        found.fit(sample)
    centres: NDArray[np.float32] = found.cluster_centers_.astype(np.float32)
    return centres


def _balanced_centres(
    sample: NDArray[np.float32], centres: NDArray[np.float32], told: Told
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(k, d) centres and (k,) prices, by rounds of balanced k-means at a falling temperature."""
    prices = np.zeros(len(centres), dtype=np.float32)
    for number, temperature in enumerate(np.geomspace(HOTTEST, COLDEST, ROUNDS), start=1):
        costs = _all_distances(sample, centres)
        prices = _prices(costs, prices, float(temperature) * float(costs.std()))
        chosen = np.argmin(costs + prices, axis=1)
        if number < ROUNDS:  # prices belong to the centres that they were found with
            for cluster in range(len(centres)):
                members = sample[chosen == cluster]
                if len(members):
                    centres[cluster] = members.mean(axis=0, dtype=np.float64)
        told(number, ROUNDS, "finding centres")
    return centres, prices


def _all_distances(sample: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    costs = np.empty((len(sample), len(centres)), dtype=np.float32)
    for start in range(0, len(sample), BLOCK):
        costs[start : start + BLOCK] = _distances(sample[start : start + BLOCK], centres)
    return costs


def _prices(costs: NDArray[np.float32], prices: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """(k,) prices at which every cluster would get as many images as any other."""
    if temperature <= 0:
        return prices
    wanted = len(costs) / costs.shape[1]
    for _ in range(SWEEPS):
        scores = (costs + prices) / -temperature
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        sizes = np.maximum(scores.sum(axis=0, dtype=np.float64), 1e-6)
        prices = (prices + temperature * np.log(sizes / wanted)).astype(np.float32)
        prices -= prices.mean()
    return prices


def _equalised(costs: NDArray[np.float32], told: Told) -> tuple[NDArray[np.int64], int]:
    """Every image's cheapest cluster, but with equal sizes: (n,) clusters, and how many images were moved for it.

    Clusters that are too large propose the images that lose least, each to its cheapest cluster with room, which takes
    those that lose least. At most k rounds: each fills a cluster.
    """
    images, count = costs.shape
    chosen = np.concatenate([costs[start : start + BLOCK].argmin(axis=1) for start in range(0, images, BLOCK)])
    sizes = np.bincount(chosen, minlength=count)
    wanted = np.full(count, images // count)
    wanted[np.lexsort((np.arange(count), -sizes))[: images % count]] += 1  # the largest ones keep one more
    moved, begun = 0, int(np.maximum(sizes - wanted, 0).sum())
    while (sizes > wanted).any():
        told(moved, begun, "making sizes equal")
        loss, target = _proposals(costs, chosen, sizes > wanted, sizes < wanted)
        proposed = _first_of_each(chosen, loss, np.maximum(sizes - wanted, 0))
        taken = proposed[_first_of_each(target[proposed], loss[proposed], np.maximum(wanted - sizes, 0))]
        chosen[taken] = target[taken]
        moved += len(taken)
        sizes = np.bincount(chosen, minlength=count)
    return chosen, moved


def _proposals(
    costs: NDArray[np.float32], chosen: NDArray[np.int64], full: NDArray[np.bool_], room: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n,) what an image of a cluster that is too full would lose in the cheapest one with room, and which that is."""
    free = np.flatnonzero(room)
    loss = np.full(len(chosen), np.inf, dtype=np.float32)
    target = chosen.copy()
    for start, part in in_parts(chosen):
        rows = np.flatnonzero(full[part])
        table = costs[start : start + BLOCK][rows]
        best = table[:, free].argmin(axis=1)
        every = np.arange(len(rows))
        loss[start + rows] = table[every, free[best]] - table[every, part[rows]]
        target[start + rows] = free[best]
    return loss, target


def _first_of_each(kinds: NDArray[np.int64], loss: NDArray[np.float32], limits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the up to `limits[kind]` members of every kind that lose least; earlier ones first where they tie."""
    found = []
    for kind in np.flatnonzero(limits):
        members = np.flatnonzero((kinds == kind) & np.isfinite(loss))
        found.append(members[np.argsort(loss[members], kind="stable")[: limits[kind]]])
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def _in_order_of_appearance(chosen: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The same clusters, numbered by their first image."""
    _, first = np.unique(chosen, return_index=True)
    number = np.empty(count, dtype=np.int64)
    number[chosen[np.sort(first)]] = np.arange(len(first))
    return number[chosen]
