"""QQ plots of calibrated p-values: plain data for plotly, with the table of their numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy  # its parts load when they are first used: no command and no page should wait for them

from audits.calibration import Row

WITHOUT, WITH = "without references", "with references"
BAND = 0.99


def qq_plot(rows: Sequence[Row]) -> dict[str, Any]:
    """Observed against expected p-values of one test at one level: a line without references, a dashed one with them.

    The band holds 99 % of the p-values that are uniform, at every place by itself: order statistics are beta.
    """
    expected = np.array([at for at, _ in rows[0].quantiles])
    low, high = _band(expected, min(row.pairs for row in rows))
    names = [WITH if row.references else WITHOUT for row in rows]
    observed = [[seen for _, seen in row.quantiles] for row in rows]
    lines = [_line(row, name, expected, seen) for row, name, seen in zip(rows, names, observed, strict=True)]
    axis = {"range": [0, 1], "constrain": "domain"}
    layout = {
        "xaxis": {**axis, "title": {"text": "expected p"}},
        "yaxis": {**axis, "title": {"text": "observed p"}, "scaleanchor": "x"},
    }
    return {
        "figure": {"data": [*_background(expected, low, high), *lines], "layout": layout},
        "columns": ["Expected", *names, "Band, 99 %"],
        "rows": [
            [f"{at:.2f}", *(f"{seen[place]:.3f}" for seen in observed), f"{low[place]:.3f} to {high[place]:.3f}"]
            for place, at in enumerate(expected)
        ],
        "numeric": ",".join(str(number) for number in range(len(names) + 2)),
    }


def _band(expected: np.ndarray, pairs: int) -> tuple[np.ndarray, np.ndarray]:
    """(Q,) limits of the order statistic at every expected quantile."""
    rank = np.clip(expected * pairs, 0.5, pairs - 0.5)
    tail = (1 - BAND) / 2
    return scipy.stats.beta.ppf(tail, rank, pairs - rank + 1), scipy.stats.beta.isf(tail, rank, pairs - rank + 1)


def _background(expected: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[dict[str, Any]]:
    quiet = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "x": _rounded(expected)}
    return [
        {**quiet, "y": _rounded(low), "line": {"width": 0}, "showlegend": False},
        {
            **quiet,
            "y": _rounded(high),
            "line": {"width": 0},
            "fill": "tonexty",
            "fillcolor": "token:sunken",
            "showlegend": False,
        },
        {
            **quiet,
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": "token:pewter", "width": 1},
            "showlegend": False,
        },
    ]


def _line(row: Row, name: str, expected: np.ndarray, observed: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": _rounded(expected),
        "y": _rounded(np.asarray(observed)),
        "line": {
            "color": "token:warn" if row.references else "token:accent",
            "width": 2,
            "dash": "dash" if row.references else "solid",
        },
        "hovertemplate": "%{x:.2f}: %{y:.3f}<extra>" + name + "</extra>",
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]
