"""Figures of a rank test among decoy keys: plain data for plotly, each with the table of its numbers.

They draw what `visible_result` let through: the decoys' Q in the order of size, and the true key's own.
"""

from typing import Any

import numpy as np

from audits.judging.levels import RankLevel, RankTest
from audits.judging.ranks import DECOY_QUANTILES
from audits.services.results.charts import SCORE_NAMES, bars_with_a_place
from provenance import wording

MOST_BINS = 40
LEAST_Q = 1e-6
DIGITS = 9  # NumPy's logarithm differs in its last digit between processors; a report must be the same bytes on all


def histogram_of(test: RankTest) -> tuple[list[int], list[float], float]:
    """Counts of the decoys' log10 Q, the edges of their bins, and the true key's log10 Q."""
    decoys, true = np.log10(np.maximum(test.distances, LEAST_Q)), float(np.log10(max(test.statistic, LEAST_Q)))
    bins = min(MOST_BINS, max(8, int(np.sqrt(len(decoys)) * 2)))
    low, high = min(float(decoys.min()), true), max(float(decoys.max()), true)
    counts, edges = np.histogram(decoys, bins=bins, range=(low, high if high > low else low + 1))
    return [int(count) for count in counts], [round(float(edge), DIGITS) for edge in edges], round(true, DIGITS)


def histogram(test: RankTest) -> dict[str, Any]:
    """The decoys' Q on a scale of orders of magnitude, with the true key's as a line."""
    counts, sides, true = histogram_of(test)
    edges = np.array(sides)
    middles = (edges[:-1] + edges[1:]) / 2
    to_the_right = true > float(edges.mean())
    return {
        "figure": bars_with_a_place(
            middles, counts, true, "the true key", "Q, orders of magnitude", "decoy keys", to_the_right
        ),
        "columns": ["Q from", "Q to", "Decoy keys"],
        "rows": [
            [wording.significant(float(10**left)), wording.significant(float(10**right)), f"{wording.count(count)}"]
            for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True)
            if count
        ],
    }


def density_table(level: RankLevel) -> dict[str, Any]:
    """The four scores of the true key, where they may be seen, and quantiles of its decoys'."""
    true, decoys = level.densities.true, level.densities.decoys
    rows = []
    if true is not None:
        rows.append(["The true key", *(wording.significant(getattr(true, name)) for name in SCORE_NAMES)])
    for number, quantile in enumerate(DECOY_QUANTILES):
        name = "Median of the decoys" if quantile == 0.5 else f"{wording.percent(quantile)} of the decoys lie below"
        rows.append([name, *(wording.significant(getattr(decoys, score)[number]) for score in SCORE_NAMES)])
    columns = ["Keys", *SCORE_NAMES.values()]
    return {"columns": columns, "rows": rows, "numeric": ",".join(map(str, range(1, len(columns))))}
