"""How much a file looks like a marked one: propensity scores by small trees, in whole numbers throughout.

Where marked and unmarked files have the same distribution of the score, they have it of every feature that the score
was learnt from (Rosenbaum and Rubin, Biometrika 70, 1983). Scores decide which files are marked, so they are the same
on every machine.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Row = Mapping[str, float | str]

TREES = 80
FOLDS = 4
DEPTH = 3  # questions from root to leaf
LEAST_OF_A_LEAF = 10  # files
PENALTY = 20  # files of no tendency that every leaf is taken to hold besides
RATE = 10  # each tree corrects one part in so many of what is left

_STEPS = 1 << 20  # to one; far coarser than what machines differ by in a logarithm
_CODES = 32  # values of a feature that are told apart
_LEAST_OF_A_WORD = 3  # files; what fewer share says nothing of others
_TARGET = 1 << 16  # of a marked file; an unmarked one has the same below zero


def whole(number: float) -> int:
    """A feature in steps of 2**-20."""
    return round(number * _STEPS)


@dataclass(frozen=True)
class Codes:
    """Features as numbers from 0 to 31; 0 where a file lacks one. Found on the files that trees are learnt from.

    bounds: of a number's values, ascending. words: of a word, its rank by how many files share it.
    """

    bounds: dict[str, list[int]]
    words: dict[str, dict[str, int]]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Codes":
        """All features that differ between some of these files."""
        numbers: dict[str, list[int]] = {}
        words: dict[str, Counter[str]] = {}
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str):
                    words.setdefault(name, Counter())[value] += 1
                else:
                    numbers.setdefault(name, []).append(whole(value))
        bounds = {name: _bounds(values) for name, values in sorted(numbers.items())}
        lacking = {name for name, values in numbers.items() if len(values) < len(rows)}
        ranked = {
            name: _ranked(counts) for name, counts in sorted(words.items()) if counts.most_common(1)[0][1] < len(rows)
        }
        return cls({name: own for name, own in bounds.items() if len(own) or name in lacking}, ranked)

    def matrix(self, rows: Sequence[Row]) -> np.ndarray:
        """(files, features) uint8."""
        found = np.zeros((len(rows), len(self.bounds) + len(self.words)), np.uint8)
        for at, row in enumerate(rows):
            numbers = (
                bisect_right(bounds, whole(float(row[name]))) + 1 if name in row else 0
                for name, bounds in self.bounds.items()
            )
            words = (ranks.get(str(row.get(name, "")), 0) for name, ranks in self.words.items())
            found[at] = [*numbers, *words]
        return found


def _bounds(values: list[int]) -> list[int]:
    """At most 30, between values, so that each part has about as many files."""
    ordered = sorted(values)
    cuts = {ordered[number * len(ordered) // (_CODES - 1)] for number in range(1, _CODES - 1)}
    return sorted(cuts - {ordered[0]})


def _ranked(counts: Counter[str]) -> dict[str, int]:
    common = sorted((-count, word) for word, count in counts.items() if count >= _LEAST_OF_A_WORD)
    return {word: rank for rank, (_, word) in enumerate(common[: _CODES - 1], 1)}


@dataclass(frozen=True)
class Trees:
    """Gradient boosting of squared error (Friedman, Annals of Statistics 29, 2001).

    feature, cut: (trees, 2**DEPTH - 1), the question of each node: is the feature's code above the cut? leaf: (trees,
    2**DEPTH) int64.
    """

    codes: Codes
    feature: np.ndarray
    cut: np.ndarray
    leaf: np.ndarray

    @classmethod
    def learnt(cls, rows: Sequence[Row], marked: Sequence[bool]) -> "Trees":
        """Trees that tell marked files from unmarked ones; some of either kind."""
        codes = Codes.of(rows)
        values, inner = codes.matrix(rows), 2**DEPTH - 1
        feature, cut = np.zeros((2, TREES, inner), np.int64)
        leaf = np.zeros((TREES, inner + 1), np.int64)
        left = np.where(np.array(marked, bool), _TARGET, -_TARGET).astype(np.int64)
        left -= left.sum() // len(left)
        for tree in range(TREES if values.shape[1] else 0):
            node = np.zeros(len(rows), np.int64)
            for level in range(DEPTH):
                first = 2**level - 1
                own = slice(first, first + 2**level)
                feature[tree, own], cut[tree, own] = _questions(values, node, left, 2**level)
                above = values[np.arange(len(rows)), feature[tree, first + node]] > cut[tree, first + node]
                node = 2 * node + above
            leaf[tree] = _sums(node, left, inner + 1) // (RATE * (np.bincount(node, minlength=inner + 1) + PENALTY))
            left -= leaf[tree, node]
        return cls(codes, feature, cut, leaf)

    def scores(self, rows: Sequence[Row]) -> np.ndarray:
        """(files,) int64; the larger, the more a file looks like a marked one."""
        if not (self.codes.bounds or self.codes.words):
            return np.zeros(len(rows), np.int64)
        values, trees = self.codes.matrix(rows), np.arange(TREES)
        node = np.zeros((len(rows), TREES), np.int64)
        for level in range(DEPTH):
            at = 2**level - 1 + node
            asked = values[np.arange(len(rows))[:, None], self.feature[trees, at]]
            node = 2 * node + (asked > self.cut[trees, at])
        return np.asarray(self.leaf[trees, node].sum(axis=1))


def _sums(keys: np.ndarray, numbers: np.ndarray, size: int) -> np.ndarray:
    """Of whole numbers by key; below 2**53, where float64 is exact."""
    return np.bincount(keys, numbers, size).astype(np.int64)


def _questions(values: np.ndarray, node: np.ndarray, left: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each node the feature and cut that leave the least squared error; a cut above all codes where none may be."""
    features = values.shape[1]
    keys = ((node[:, None] * features + np.arange(features)) * _CODES + values).reshape(-1)
    size, shape = nodes * features * _CODES, (nodes, features, _CODES)
    counts = np.bincount(keys, minlength=size).reshape(shape).cumsum(axis=2)
    sums = _sums(keys, np.repeat(left, features), size).reshape(shape).cumsum(axis=2)
    others, rest = counts[..., -1:] - counts, sums[..., -1:] - sums
    gains = sums**2 // (counts + PENALTY) + rest**2 // (others + PENALTY)
    gains[(counts < LEAST_OF_A_LEAF) | (others < LEAST_OF_A_LEAF)] = -1
    flat = gains.reshape(nodes, -1)
    best = flat.argmax(axis=1)
    none = flat[np.arange(nodes), best] < 0
    return best // _CODES, np.where(none, _CODES, best % _CODES)


@dataclass(frozen=True)
class CrossFitted:
    """Trees for each of four folds, learnt on the other three: nobody scores itself.

    among: of each fold, the ordered scores of its unmarked files, which make folds comparable.
    """

    trees: tuple[Trees, ...]
    among: tuple[np.ndarray, ...]

    @classmethod
    def learnt(cls, rows: Sequence[Row], marked: Sequence[bool], folds: Sequence[int]) -> "CrossFitted":
        """folds: of every file, from 0 to FOLDS - 1."""
        trees, among = [], []
        for fold in range(FOLDS):
            own = [at for at, one in enumerate(folds) if one != fold]
            trees.append(Trees.learnt([rows[at] for at in own], [marked[at] for at in own]))
            asked = [row for row, bears, one in zip(rows, marked, folds, strict=True) if one == fold and not bears]
            among.append(np.sort(trees[-1].scores(asked)))
        return cls(tuple(trees), tuple(among))

    def ranks(self, rows: Sequence[Row], fold: int) -> np.ndarray:
        """(files,) int64: twice the rank of files of one fold among its unmarked files, in parts of 2**20 of these."""
        scores, own = self.trees[fold].scores(rows), self.among[fold]
        twice = np.searchsorted(own, scores, "left") + np.searchsorted(own, scores, "right")
        return np.asarray(twice.astype(np.int64) * _STEPS // (len(own) + 1))
