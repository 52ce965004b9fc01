"""Figures of an audit's result: plain data for plotly, each with the table of its numbers. Nothing here is secret by
itself: it draws what `visible_result` let through."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from audits.judging.disclosure import AssociatedView, FullView, MeanLevel, means_of
from audits.judging.levels import AssociatedLevel, PermutationTest
from audits.statistics.permutation import double_centred
from provenance import wording

SCORE_NAMES = {
    "gain": "Density gain",
    "divergence": "Divergence",
    "displacement": "Displacement",
    "coherence": "Coherence",
}


def bars_with_a_place(
    middles: Iterable[float], counts: Sequence[int], at: float, name: str, across: str, up: str, left_of_it: bool
) -> dict[str, Any]:
    """Bars of what chance gives, and a named line at the place of the key; the name stands left of it or right."""
    line = {"color": "token:accent", "width": 3}
    bars = {
        "type": "bar",
        "x": [round(float(x), 4) for x in middles],
        "y": list(counts),
        "marker": {"color": "token:pewter"},
        "hovertemplate": "%{x:.2f}: %{wording.count(y)}<extra></extra>",
    }
    highest = max(counts, default=0)
    label = {
        "x": at,
        "y": 1,
        "yref": "paper",
        "text": name,
        "showarrow": False,
        "xanchor": "right" if left_of_it else "left",
        "xshift": -6 if left_of_it else 6,
        "font": {"color": "token:accent"},
    }
    layout = {
        "showlegend": False,
        "xaxis": {"title": {"text": across}, "zeroline": False},
        # The name of the line stands above the bars.
        "yaxis": {"title": {"text": up}, "range": [0, max(1, highest) * 1.12]},
        "shapes": [{"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}],
        "annotations": [label],
    }
    return {"data": [bars], "layout": layout}


def histogram(test: PermutationTest) -> dict[str, Any]:
    """The statistic under chance, in its own deviations, with the true assignment as a line."""
    mean, deviation = _spread(test)
    edges = (np.asarray(test.edges) - mean) / deviation
    middles = (edges[:-1] + edges[1:]) / 2
    counts, at = test.counts, (test.statistic - mean) / deviation
    return {
        "figure": bars_with_a_place(
            middles, counts, at, "the key’s own", "statistic, in deviations of chance", "assignments", at > 0
        ),
        "columns": ["From", "To", "Assignments"],
        "rows": [
            [f"{low:.2f}", f"{high:.2f}", f"{wording.count(count)}"]
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
            if count
        ],
    }


def _spread(test: PermutationTest) -> tuple[float, float]:
    """Mean and deviation of the statistic under chance.

    Over all assignments the mean is zero, and z gives the deviation. Among fewer it need not be, so that both are
    read off the histogram unless they agree.
    """
    edges, counts = np.asarray(test.edges), np.asarray(test.counts, dtype=float)
    middles = (edges[:-1] + edges[1:]) / 2
    mean = float((counts * middles).sum() / counts.sum())
    found = math.sqrt(float((counts * (middles - mean) ** 2).sum() / counts.sum()))
    told = test.statistic / test.z if test.z else 0.0
    if abs(mean) <= (edges[1] - edges[0]) / 2 and (told > 0 or not found):
        return 0.0, told or 1.0
    return mean, found or 1.0


def heat_map(part: AssociatedView, level: AssociatedLevel | MeanLevel, with_references: bool) -> dict[str, Any] | None:
    """Pulls of patterns to groups as the test sees them: centred, or what the references leave.

    None where the matrix stays with the owner.
    """
    if not isinstance(part, FullView) or not isinstance(level, AssociatedLevel):
        return None
    matrix = level.residual if with_references and level.residual else level.centred or level.pulls
    centred = double_centred(np.asarray(matrix))
    reach = float(np.abs(centred).max()) or 1.0
    patterns, groups = part.pattern_names, part.group_names
    outline = {"color": "token:ink", "width": 2}
    cells = [
        {"type": "rect", "x0": g - 0.5, "x1": g + 0.5, "y0": j - 0.5, "y1": j + 0.5, "line": outline}
        for j, g in enumerate(part.assignment)
    ]
    return {
        "figure": {
            "data": [
                {
                    "type": "heatmap",
                    "z": [[round(float(value), 7) for value in row] for row in centred],
                    "x": groups,
                    "y": patterns,
                    "zmin": -reach,
                    "zmax": reach,
                    "colorscale": "token:diverging",
                    "xgap": 1,
                    "ygap": 1,
                    "colorbar": {"title": {"text": "pull"}, "thickness": 12},
                    "hovertemplate": "%{y} to %{x}: %{z:.3g}<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": {"showgrid": False, "type": "category"},
                "yaxis": {"showgrid": False, "type": "category", "autorange": "reversed"},
                "shapes": cells,
            },
        },
        "caption": "Above zero: marking with this pattern moves outputs into the density of that group.",
        "columns": ["Pattern", *groups],
        "numeric": ",".join(str(number) for number in range(1, len(groups) + 1)),
        "rows": [
            [name, *(wording.significant(float(value)) for value in row)]
            for name, row in zip(patterns, centred, strict=True)
        ],
    }


def density_table(part: AssociatedView, level: AssociatedLevel | MeanLevel) -> dict[str, Any]:
    """The four scores per pattern and its pull to its own group, where single ones may be seen, and their means."""
    names = SCORE_NAMES | {"pull": "Pull to its group"}
    single = level.densities if isinstance(level, AssociatedLevel) else ()
    means = level.means if isinstance(level, MeanLevel) else means_of(single)
    labels = [*(part.pattern_names if isinstance(part, FullView) else ()), "Mean"]
    rows = [
        [label, *(wording.significant(float(getattr(scores, name))) for name in names)]
        for label, scores in zip(labels, [*single, means], strict=True)
    ]
    columns = ["Patterns" if part.shuffled else "Pattern", *names.values()]
    return {"columns": columns, "rows": rows, "numeric": ",".join(map(str, range(1, len(columns))))}


def strengths(audits: list[Any]) -> dict[str, Any]:
    """How improbable each row of several audits is: -log10 p, higher is stronger."""
    names, heights, texts = [], [], []
    for audit in audits:
        for row in audit.rows.all():
            names.append(f"{audit.plan.suspect.name}: {row.release.recipient} ({str(audit.pk)[:8]})")
            heights.append(round(-float(np.log10(row.p)), 3))
            texts.append(wording.p_value(row.p))
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": heights,
                "y": names,
                "text": texts,
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": "token:accent"},
                "hovertemplate": "p = %{text}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": "orders of magnitude below p = 1"}, "rangemode": "tozero"},
            "yaxis": {"type": "category", "autorange": "reversed"},
        },
    }
