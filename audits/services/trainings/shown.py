"""What pages say of training runs: lists, settings in words, the loss by epoch."""

from typing import Any

from django.db import models

from audits.models import Training
from audits.pilots.recipe import TINY_CLIP, TrainingSettings
from provenance.models import User


def visible(user: User) -> "models.QuerySet[Training]":
    """The person's training runs for lists, newest first, with what the lines name."""
    named = "version__dataset", "release", "model", "job", "created_by"
    return Training.objects.for_user(user).select_related(*named)


def facts(training: Training) -> list[tuple[str, str]]:
    """The settings of a run in words."""
    recipe = TrainingSettings.from_json(training.settings["recipe"])
    vision = TINY_CLIP["vision_cfg"]
    return [
        ("Network", f"tiny CLIP (open_clip), ResNet of width {vision['width']}, {vision['image_size']} px"),
        ("Epochs", f"{recipe.epochs}"),
        ("Images per step", f"{recipe.batch_size}"),
        ("Learning rate", f"{recipe.learning_rate:g}"),
        ("Seed", f"{recipe.seed}"),
        ("Labels by prompts", ", ".join(training.settings["class_names"]) or "none"),
    ]


def curve_chart(training: Training) -> dict[str, Any]:
    """Loss by epoch, for the chart component."""
    epochs = [point["epoch"] for point in training.curve]
    losses = [point["loss"] for point in training.curve]
    line = {"type": "scatter", "mode": "lines+markers", "x": epochs, "y": losses, "line": {"color": "token:accent"}}
    layout = {
        "showlegend": False,
        "xaxis": {"title": {"text": "epoch"}, "dtick": max(1, len(epochs) // 8)},
        "yaxis": {"title": {"text": "contrastive loss"}, "rangemode": "tozero"},
    }
    return {
        "figure": {"data": [line], "layout": layout},
        "columns": ["Epoch", "Loss"],
        "rows": [[str(epoch), f"{loss:.3f}"] for epoch, loss in zip(epochs, losses, strict=True)],
    }
