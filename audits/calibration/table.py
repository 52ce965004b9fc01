"""The calibration table: how often every test rejected models that never saw a release. NumPy and SciPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them
from numpy.typing import NDArray

from audits.statistics.binomial import clopper_pearson
from provenance import wording
from provenance.errors import TouchmarkError

ALPHAS = (0.05, 0.01)
CONFIDENCE = 0.99
QQ_POINTS = 50
SCHEMA = 1

Finding = Literal["as often as it should", "more rarely", "too often"]


class TableError(TouchmarkError):
    """Figures that make no calibration table."""


@dataclass(frozen=True)
class Rejections:
    """Rejections at one alpha.

    rate with its Clopper–Pearson interval (low, high); attainable: the largest rate at or below alpha that this test
    can have, alpha itself where that is unknown; finding: rejections against the central 99 % of the binomial.
    """

    alpha: float
    count: int
    rate: float
    low: float
    high: float
    attainable: float
    finding: Finding


@dataclass(frozen=True)
class Row:
    """One test at one level for one family.

    exact: the test claims an exact error rate. distance: Kolmogorov's largest |F(p) - p|, on the grid of a
    coarse test;
    excess: largest F(p) - p, the side on which innocents suffer; critical: 1 % point of the distance for this many
    pairs. quantiles: (expected, observed) for a QQ plot.
    """

    test: str
    level: str
    family: str
    references: bool
    exact: bool
    pairs: int
    rejections: tuple[Rejections, ...]
    distance: float
    excess: float
    critical: float
    quantiles: tuple[tuple[float, float], ...] = field(repr=False)


def make_row(
    test: str,
    level: str,
    family: str,
    references: bool,
    exact: bool,
    p_values: Sequence[float],
    grids: Sequence[int | None],
) -> Row:
    """Summarise p-values of null pairs; grids as in `audits.calibration.pairs.Drawn`."""
    p: NDArray[np.float64] = np.sort(np.asarray(p_values, dtype=np.float64))
    if not len(p) or not np.isfinite(p).all() or p[0] < 0 or p[-1] > 1:
        raise TableError("A row of the table needs p-values between 0 and 1.")
    # Rounded, because k/n computed in two ways must count alike.
    values, counts = np.unique(p.round(12), return_counts=True)
    reached = np.cumsum(counts) / len(p)
    before = np.concatenate([[0.0], reached[:-1]])
    known = [grid for grid in grids if grid is not None]
    step = 1 / min(known) if len(known) == len(p) else 0.0  # on a grid, a uniform p stays flat until its next value
    expected = (np.arange(QQ_POINTS) + 0.5) / QQ_POINTS
    return Row(
        test=test,
        level=level,
        family=family,
        references=references,
        exact=exact,
        pairs=len(p),
        rejections=tuple(_rejections(p, alpha, grids) for alpha in ALPHAS),
        distance=float(max(np.abs(reached - values).max(), (values - step - before).max())),
        excess=float(max(0.0, (reached - values).max())),
        critical=float(scipy.stats.kstwo.isf(0.01, len(p))),
        quantiles=tuple(zip(expected.tolist(), np.quantile(p, expected).tolist(), strict=True)),
    )


def _rejections(p: NDArray[np.float64], alpha: float, grids: Sequence[int | None]) -> Rejections:
    count = int(np.count_nonzero(p <= alpha + 1e-12))
    rates = [alpha if grid is None else np.floor(alpha * grid + 1e-9) / grid for grid in grids]
    attainable = min(alpha, float(np.mean(rates)))
    if count > scipy.stats.binom.ppf((1 + CONFIDENCE) / 2, len(p), alpha):
        finding: Finding = "too often"
    elif count < scipy.stats.binom.ppf((1 - CONFIDENCE) / 2, len(p), attainable):
        finding = "more rarely"
    else:
        finding = "as often as it should"
    low, high = clopper_pearson(count, len(p), CONFIDENCE)
    return Rejections(alpha, count, count / len(p), low, high, attainable, finding)


@dataclass(frozen=True)
class CalibrationTable:
    """All rows of one calibration, and what it was made with (settings, code version, numbers of models)."""

    rows: tuple[Row, ...]
    made_with: Mapping[str, Any]

    @property
    def holds(self) -> bool | None:
        """Whether every test that claims an exact error rate kept it; None where there are too few pairs to tell.

        All counts are judged together (Bonferroni at 1 %), and no interval may be too wide (docs/method.md, section
        8.2).
        """
        if self._rejects_too_often():
            return False
        return None if self.too_wide else True

    @property
    def too_wide(self) -> tuple[Row, ...]:
        """Exact tests whose 99 % interval at an alpha of 0.05 reaches 0.10.

        A test that rejects twice as often as it should is almost surely among them (docs/method.md, section 8.2).
        """
        alpha = ALPHAS[0]
        exact = [row for row in self.rows if row.exact]
        return tuple(row for row in exact if any(i.alpha == alpha and i.high >= 2 * alpha for i in row.rejections))

    def _rejects_too_often(self) -> bool:
        counts = [(item, row.pairs) for row in self.rows if row.exact for item in row.rejections]
        least = (1 - CONFIDENCE) / max(1, len(counts))
        return any(scipy.stats.binom.sf(item.count - 1, pairs, item.alpha) <= least for item, pairs in counts)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "made_with": dict(self.made_with), "rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> CalibrationTable:
        """Read what `to_dict` wrote, through JSON or not. Raises TableError for anything else."""
        try:
            if source["schema"] != SCHEMA:
                raise TableError("This calibration table was written by another version; calibrate again.")
            rows = tuple(
                Row(
                    **{
                        **row,
                        "rejections": tuple(Rejections(**item) for item in row["rejections"]),
                        "quantiles": tuple((float(a), float(b)) for a, b in row["quantiles"]),
                    }
                )
                for row in source["rows"]
            )
            return cls(rows, dict(source["made_with"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TableError("This is no calibration table.", repr(error)) from error

    def to_markdown(self) -> str:
        """The table of docs/error-rates.md: exact tests first, then those without one."""
        head = ["test", "level", "references", "pairs", *(f"p <= {alpha:g} (99 % interval)" for alpha in ALPHAS), "KS"]
        parts = []
        for exact, title in ((True, "Tests with an exact error rate"), (False, "Other tests, without one")):
            chosen = [row for row in self.rows if row.exact is exact]
            if not chosen:
                continue
            lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
            lines += [f"| {' | '.join(_cells(row))} |" for row in chosen]
            parts.append(f"{title}\n\n" + "\n".join(lines))
        return "\n\n".join(parts)


def _cells(row: Row) -> list[str]:
    rates = [
        f"{wording.rate(item.rate)} ({wording.rates(item.low, item.high)})"
        + {"too often": " too often", "more rarely": " rarer"}.get(item.finding, "")
        for item in row.rejections
    ]
    references = "with" if row.references else "without"
    return [
        f"{row.test} ({row.family})",
        row.level,
        references,
        wording.count(row.pairs),
        *rates,
        f"{row.distance:.3f}",
    ]
