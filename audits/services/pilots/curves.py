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
MOST_NAMED = 8  # curves in a legend

Points = Sequence[Mapping[str, float]]


def auc_chart(made: Sequence[Summary]) -> dict[str, Any] | None:
    """How well published images are told from those at home, by epoch; nothing where none stayed home."""
    lines, rows = [], []
    for one in made:
        for basis, curve in one.aucs.items():
            name = f"{title(one)}, {BASIS_WORDS[basis]}"
            lines.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": name,
                    "x": list(curve),
                    "y": [round(auc, 4) for auc in curve.values()],
                    "line": {"color": BASIS_COLOURS[basis], "dash": "solid" if one.number % 2 == 0 else "dot"},
                }
            )
            rows += [[name, str(epoch), f"{auc:.3f}"] for epoch, auc in curve.items()]
    if not lines:
        return None
    layout = {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "AUC, mean over keys"}}}
    return {
        "figure": {"data": lines, "layout": layout},
        "columns": ["Settings and level", "Epoch", "AUC"],
        "rows": rows,
        "caption": "Chance that a published image scores higher than one at home, after as many epochs; 0.5 is chance.",
    }


def curves_chart(settings: PilotSettings, curves: Mapping[str, Points]) -> dict[str, Any] | None:
    """Loss of every training by epoch and, where images have classes, how many neighbours share theirs."""
    lines = [line for line in settings.lines() if curves.get(line.name)]
    shown = [(line_title(settings, line), curves[line.name]) for line in lines]
    if not shown:
        return None
    layout: dict[str, Any] = {
        "showlegend": len(shown) <= MOST_NAMED,
        "xaxis": {"title": {"text": "epoch"}},
        "yaxis": {"title": {"text": "loss"}},
        "yaxis2": {
            "title": {"text": "neighbours"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 1],
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
        dotted = {"color": colour, "dash": "dot"}
        lines.append(drawn | {"name": f"{name}, neighbours", "y": shares, "yaxis": "y2", "line": dotted})
    return lines


def _last(name: str, point: Mapping[str, float]) -> list[str]:
    near = f"{point['accuracy']:.1%}" if "accuracy" in point else NOT_MEASURED
    return [name, f"{point['epoch']:g}", f"{point['loss']:.3f}", near]
