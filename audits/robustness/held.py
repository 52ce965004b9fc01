"""Answers of models that are asked here, in memory, as the judging reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import WRONG, Answers
from audits.asking.questions import BLOCK_IMAGES
from audits.asking.view_questions import ViewAnswers

Table = NDArray[np.float32]


class HeldViewAnswers(ViewAnswers):
    """tables: features (n, V, d), soft labels (n, V, k), cosines with captions (n, V, 1), as far as there are any."""

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables

    def has(self, kind: str) -> bool:
        return kind in self.tables

    def parts(self, kind: str) -> Iterator[Table]:
        table = self.tables[kind]
        yield from (table[start : start + BLOCK_IMAGES] for start in range(0, len(table), BLOCK_IMAGES))


class HeldAnswers(Answers):
    """tables: by condition, then kind: (N, d)."""

    def __init__(self, tables: Mapping[str, Mapping[str, Table]]) -> None:
        self.tables = tables

    def has(self, kind: str) -> bool:
        return all(kind in table for table in self.tables.values())

    def read(self, condition: str, kind: str) -> Table:
        return self.tables[condition][kind]

    @property
    def has_wrong_key(self) -> bool:
        return any(condition.startswith(WRONG) for condition in self.tables)
