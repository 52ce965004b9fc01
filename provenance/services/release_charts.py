"""Charts of a release: distributions that tell nothing about single images."""

from typing import Any


def psnr_chart(facts: dict[str, Any]) -> dict[str, Any]:
    """How much marked images differ from their originals: figure, caption and table of numbers."""
    return _histogram(facts["psnr"], "PSNR in dB", "{:.0f}", "PSNR from (dB)")


def survival_chart(facts: dict[str, Any]) -> dict[str, Any]:
    """How much of the mark's energy decoders get back."""
    return _histogram(facts["survival"], "Part of the mark's energy that survives", "{:.2f}", "Survival from")


def _histogram(distribution: dict[str, Any], title: str, edge: str, column: str) -> dict[str, Any]:
    width = distribution["bin"]
    bins = distribution["histogram"]
    figure = {
        "data": [
            {
                "type": "bar",
                "x": [low + width / 2 for low, _ in bins],
                "y": [count for _, count in bins],
                "width": [width] * len(bins),
                "marker": {"color": "token:accent", "line": {"color": "token:surface", "width": 1}},
                "customdata": [[edge.format(low), edge.format(low + width)] for low, _ in bins],
                "hovertemplate": "%{customdata[0]} to %{customdata[1]}: %{y} images<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": title}},
            "yaxis": {"title": {"text": "Marked images"}, "rangemode": "tozero"},
            "bargap": 0,
            "showlegend": False,
        },
    }
    rows = [[edge.format(low), edge.format(low + width), count] for low, count in bins]
    return {"figure": figure, "columns": [column, "to", "Marked images"], "rows": rows}
