"""A pilot's charts: plain data for plotly, with the tables of their numbers."""

import math
from collections.abc import Sequence
from typing import Any

from audits.judging.bases import Basis
from audits.pilots.methods import METHODS
from audits.pilots.pilot.advice import BASIS_WORDS, NOT_MEASURED, interval_words
from audits.pilots.pilot.settings import PilotSettings
from audits.pilots.pilot.summary import Interval, Power, Summary
from audits.services.pilots.shown import title
from provenance.wording import p_value

COLOURS = ("token:accent", "token:warn", "token:pewter", "token:muted")
SMALLEST_SHOWN = 1e-30  # a p below it is drawn as it


def trade_off(settings: PilotSettings, made: Sequence[Summary], basis: Basis) -> dict[str, Any]:
    """What each costs against how surely it is found by one level or score: a point for each, with its intervals.

    Across: accuracy lost by the linear probe, in points; where images have no classes, what SSIM says of their looks.
    """
    by_accuracy = all(one.cost is not None for one in made)
    shown = [(one, one.power[basis]) for one in made if basis in one.power]
    traces = [
        _trace(method, colour, [(one, power) for one, power in shown if one.method == method], by_accuracy)
        for method, colour in zip(settings.methods, COLOURS, strict=False)
    ]
    at_alpha = -math.log10(settings.alpha)
    layout = {
        "xaxis": {"title": {"text": "accuracy lost, points" if by_accuracy else "1 − SSIM of marked images"}},
        "yaxis": {"title": {"text": "evidence, −log₁₀ p"}, "rangemode": "tozero"},
        "shapes": [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": at_alpha,
                "y1": at_alpha,
                "line": {"color": "token:muted", "dash": "dot", "width": 1},
            }
        ],
    }
    rows = [
        [
            title(one),
            interval_words(one.cost) if one.cost else NOT_MEASURED,
            p_value(power.median_p),
            p_value(min(power.p_values)),
            p_value(max(power.p_values)),
        ]
        for one, power in shown
    ]
    return {
        "figure": {"data": traces, "layout": layout},
        "columns": ["Settings", "Accuracy lost, points", "Median p", "Smallest p", "Largest p"],
        "rows": rows,
        "numeric": "1,2,3,4",
        "caption": (
            f"Every point is one of the settings, judged by {BASIS_WORDS[basis]}: further left costs less, further up "
            "is found more surely. Across: 95 % interval over trainings; up: from the largest p of its keys to the "
            "smallest. The dotted line is alpha."
        ),
    }


def _trace(method: str, colour: str, points: Sequence[tuple[Summary, Power]], by_accuracy: bool) -> dict[str, Any]:
    across = [_across(one, by_accuracy) for one, _ in points]
    up = [_evidence(power.median_p) for _, power in points]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": METHODS[method].title,
        "x": [round(one.mean, 4) for one in across],
        "y": up,
        "text": [one.proposal.title for one, _ in points],
        "textposition": "top center",
        "marker": {"color": colour, "size": 10},
        "error_x": _errors(
            [one.mean if one.high is None else one.high for one in across],
            [one.mean if one.low is None else one.low for one in across],
            [one.mean for one in across],
        ),
        "error_y": _errors(
            [_evidence(min(power.p_values)) for _, power in points],
            [_evidence(max(power.p_values)) for _, power in points],
            up,
        ),
        "hovertemplate": "%{text}: %{x:.2f}, %{y:.1f}<extra></extra>",
    }


def _across(one: Summary, by_accuracy: bool) -> Interval:
    if by_accuracy and one.cost is not None:
        low, high = one.cost.low, one.cost.high
        return Interval(100 * one.cost.mean, None if low is None else 100 * low, None if high is None else 100 * high)
    return Interval(1 - one.ssim if one.ssim is not None else 0.0, None, None)


def _errors(high: Sequence[float], low: Sequence[float], middle: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(up - at, 4) for up, at in zip(high, middle, strict=True)],
        "arrayminus": [round(at - down, 4) for down, at in zip(low, middle, strict=True)],
        "color": "token:muted",
        "thickness": 1,
    }


def _evidence(p: float) -> float:
    return round(-math.log10(max(p, SMALLEST_SHOWN)), 3)
