"""How trainings of a pilot go, epoch by epoch: plain data for plotly, with the tables of their numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from audits.judging.bases import Basis
from audits.pilots.pilot.advice import BASIS_WORDS, NOT_MEASURED
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.pilot.summary import Summary
from audits.services.pilots.charts import COLOURS
from audits.services.pilots.shown import line_title, title

BASIS_COLOURS: dict[Basis, str] = {
    "features": "token:accent",
    "features / caption": "token:ink",
    "features / omnibus": "token:muted",
    "soft": "token:warn",
    "hard": "token:pewter",
}
MOST_NAMED = 8  # curves of growth in a legend
DASHES = ("solid", "dot", "dash", "dashdot")
SIGNS = ("circle", "square", "diamond", "cross")

Points = Sequence[Mapping[str, float]]


def growth_charts(made: Sequence[Summary]) -> list[dict[str, Any]]:
    """How what is known of images at home and of marks grows by the epoch; methods stand side by side."""
    charts = (
        _grown(
            "auc",
            [(one, one.aucs) for one in made],
            label="AUC of what stayed home, by epoch",
            axis="AUC, mean over keys",
            caption="Chance that a published image scores higher than one at home, by epoch; 0.5 is chance.",
        ),
        _grown(
            "grown",
            [(one, one.grown) for one in made],
            label="Standard deviations of marks, by epoch",
            axis="z, mean over keys",
            caption="Standard deviations at which the audit of associated marks lies from chance after as many epochs, "
            "without references: no twin was asked about a key's patterns on its way. 0 is chance.",
        ),
    )
    return [chart for chart in charts if chart["rows"]]


def _grown(
    name: str,
    curves: Sequence[tuple[Summary, Mapping[Basis, Mapping[int, float]]]],
    label: str,
    axis: str,
    caption: str,
) -> dict[str, Any]:
    """A curve for every setting, method and level: colours tell levels apart, dashes settings, signs methods."""
    methods = list(dict.fromkeys(one.method for one, _ in curves))
    lines: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    for one, by_basis in curves:
        for basis, curve in by_basis.items():
            named = f"{title(one)}, {BASIS_WORDS[basis]}"
            colour = BASIS_COLOURS[basis]
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": named,
                    "x": list(curve),
                    "y": [round(value, 4) for value in curve.values()],
                    "line": {"color": colour, "dash": DASHES[one.number % len(DASHES)]},
                    "marker": {"color": colour, "size": 8, "symbol": SIGNS[methods.index(one.method) % len(SIGNS)]},
                }
            )
            rows += [[named, str(epoch), f"{value:.3f}"] for epoch, value in curve.items()]
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": axis}}}
    return {
        "id": name,
        "label": label,
        "figure": {"data": lines, "layout": layout | {"showlegend": len(lines) <= MOST_NAMED}},
        "columns": ["Settings and level", "Epoch", axis],
        "rows": rows,
        "caption": caption,
    }


def curves_chart(settings: PilotSettings, curves: Mapping[str, Points]) -> dict[str, Any] | None:
    """Loss of every training by epoch and, where images have classes, how many neighbours share theirs."""
    lines = [line for line in settings.lines() if curves.get(line.name)]
    shown = [(line_title(settings, line), curves[line.name]) for line in lines]
    if not shown:
        return None
    layout: dict[str, Any] = {
        "showlegend": len(shown) <= len(COLOURS),
        "xaxis": {"title": {"text": "epoch"}},
        "yaxis": {"title": {"text": "loss"}},
        "yaxis2": {
            "title": {"text": "neighbours"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 1],
            "tickmode": "linear",
            "dtick": 0.25,
            "showgrid": False,
            "tickformat": ".0%",
        },
    }
    return {
        "figure": {"data": [one for at in enumerate(shown) for one in _drawn(*at)], "layout": layout},
        "columns": ["Training", "Epochs done", "Loss", "Neighbours of the same class"],
        "rows": [_last(name, points[-1]) for name, points in shown],
        "caption": (
            "Mean loss of every epoch; dotted, part of the images kept apart whose neighbours share their class."
        ),
    }


def _drawn(number: int, named: tuple[str, Points]) -> list[dict[str, Any]]:
    name, points = named
    colour = COLOURS[number % len(COLOURS)]
    drawn: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": [point["epoch"] for point in points]}
    lines = [drawn | {"name": name, "y": [point["loss"] for point in points], "line": {"color": colour}}]
    if all("accuracy" in point for point in points):
        shares = [point["accuracy"] for point in points]
        beside = {"yaxis": "y2", "line": {"color": colour, "dash": "dot"}, "showlegend": False}
        lines.append(drawn | {"name": f"{name}, neighbours", "y": shares} | beside)
    return lines


def _last(name: str, point: Mapping[str, float]) -> list[str]:
    near = f"{point['accuracy']:.1%}" if "accuracy" in point else NOT_MEASURED
    return [name, f"{point['epoch']:g}", f"{point['loss']:.3f}", near]
