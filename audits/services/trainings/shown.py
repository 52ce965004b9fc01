"""What pages say of training runs: lists, settings in words, the loss by epoch."""

from typing import Any

from django.db import models

from audits.models import RegisteredModel, Training
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, TrainingSettings
from provenance.models import User


def visible(user: User) -> "models.QuerySet[Training]":
    """The person's training runs for lists, newest first, with what the lines name."""
    named = "version__dataset", "release", "model", "job", "created_by"
    return Training.objects.for_user(user).select_related(*named)


def facts(training: Training) -> list[tuple[str, str]]:
    """The settings of a run in words."""
    recipe = TrainingSettings.from_json(training.settings["recipe"])
    lines = [
        ("Method", recipe.method.title),
        ("Network", network(recipe)),
        ("Epochs", f"{recipe.epochs}"),
        ("Images per step", f"{recipe.batch_size}"),
        ("Learning rate", f"{recipe.learning_rate:g}"),
        ("Seed", f"{recipe.seed}"),
    ]
    if begun := RegisteredModel.objects.filter(pk=training.settings.get("begins_with")).first():
        lines.append(("Begins with", begun.name))
    if recipe.learns_from == "captions":
        lines.append(("Labels by prompts", ", ".join(training.settings["class_names"]) or "none"))
    return lines


def network(recipe: TrainingSettings) -> str:
    """The network in words."""
    if recipe.encoder == TINY_CLIP_NAME:
        return f"tiny CLIP (open_clip), ResNet of width {TINY_CLIP['vision_cfg']['width']}, {recipe.side} px"
    return f"{recipe.encoder}, {recipe.side} px"


def curve_chart(training: Training) -> dict[str, Any]:
    """Loss by epoch and, where images have classes, how many nearest neighbours share them, for the chart component."""
    points = training.curve
    epochs = [point["epoch"] for point in points]
    drawn: dict[str, Any] = {"type": "scatter", "mode": "lines+markers", "x": epochs}
    lines = [drawn | {"name": "loss", "y": [point["loss"] for point in points], "line": {"color": "token:accent"}}]
    layout: dict[str, Any] = {
        "showlegend": False,
        "xaxis": {"title": {"text": "epoch"}, "dtick": max(1, len(epochs) // 8)},
        "yaxis": {"title": {"text": "loss"}, "rangemode": "tozero"},
    }
    columns, rows = ["Epoch", "Loss"], [[str(point["epoch"]), f"{point['loss']:.3f}"] for point in points]
    caption = "Mean loss of every epoch"
    if points and all("accuracy" in point for point in points):
        shares = [point["accuracy"] for point in points]
        style = {"color": "token:muted", "dash": "dot"}
        lines.append(drawn | {"name": "nearest neighbours", "y": shares, "yaxis": "y2", "line": style})
        right = {"overlaying": "y", "side": "right", "range": [0, 1], "tickformat": ".0%", "showgrid": False}
        ticks = {"tickmode": "array", "tickvals": [0, 0.5, 1], "title": {"text": "neighbours"}}
        layout |= {"showlegend": True, "yaxis2": right | ticks}
        columns.append("Neighbours of the same class")
        rows = [[*row, f"{share:.1%}"] for row, share in zip(rows, shares, strict=True)]
        caption += ", and part of the images whose nearest neighbours in the features share their class"
    figure = {"data": lines, "layout": layout}
    return {"figure": figure, "columns": columns, "rows": rows, "caption": caption}
