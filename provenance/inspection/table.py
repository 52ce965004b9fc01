"""Features of many files as the columns of a matrix."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from provenance.inspection.features import Features

LEAST_OF_A_WORD = 3  # files; what fewer share says nothing of others


@dataclass(frozen=True)
class Columns:
    """Which columns there are; found on the files that a classifier learns from, and used for all others.

    Attributes: numbers: names of numeric features. words: (name, word) of those that are only equal or not.
    """

    numbers: tuple[str, ...]
    words: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, rows: Sequence[Features]) -> "Columns":
        """Every number that is not the same in all files, and every word that some share and not all."""
        seen: dict[str, set[float]] = {}
        told: Counter[tuple[str, str]] = Counter()
        having: Counter[str] = Counter()
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str):
                    told[name, value] += 1
                else:
                    having[name] += 1
                    seen.setdefault(name, set()).add(value)
        numbers = (name for name, values in seen.items() if len(values) > 1 or having[name] < len(rows))
        words = (pair for pair, count in told.items() if LEAST_OF_A_WORD <= count < len(rows))
        return cls(tuple(sorted(numbers)), tuple(sorted(words)))

    @property
    def names(self) -> list[str]:
        return [*self.numbers, *(f"{name} is {word}" for name, word in self.words)]

    def matrix(self, rows: Sequence[Features]) -> np.ndarray:
        """(files, columns) float64; NaN where a file has no such number."""
        values = np.full((len(rows), len(self.numbers) + len(self.words)), np.nan)
        for at, row in enumerate(rows):
            values[at, : len(self.numbers)] = [_number(row.get(name)) for name in self.numbers]
            values[at, len(self.numbers) :] = [row.get(name) == word for name, word in self.words]
        return values


def _number(value: float | str | None) -> float:
    return float(value) if isinstance(value, int | float) else np.nan
