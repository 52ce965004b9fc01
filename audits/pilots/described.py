"""How a model that was trained here is asked, as `audits.suspects` opens it. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audits.pilots.checked import TrainingError
from audits.pilots.recipe import DEVIATION, MEAN, PROMPT, TINY_CLIP, TrainingSettings
from audits.suspects.spec import ModelSpec, SpecError


def spec_of(settings: TrainingSettings, class_names: Sequence[str] = ()) -> ModelSpec:
    """Features, and labels by a head or, where class names are given, by prompts."""
    said: dict[str, Any] = {"mean": list(MEAN), "deviation": list(DEVIATION)}
    if settings.learns_from == "captions":
        said |= {"config": TINY_CLIP, "class_names": list(class_names), "templates": [PROMPT]}
    else:
        said |= {"input_size": settings.side}
    labelled = settings.learns_from == "classes" or (settings.learns_from == "captions" and class_names)
    returns = ["features", "soft", "hard"] if labelled else ["features"]
    return ModelSpec.from_json({"architecture": settings.encoder, "returns": returns, **said})


def check_network(settings: TrainingSettings) -> None:
    """Raises TrainingError for a network that nobody could build and ask, without building it."""
    try:
        spec_of(settings)
    except SpecError as error:
        raise TrainingError(
            f"There is no network “{settings.encoder}” of {settings.side} pixels; name one as small_resnet:WIDTH, "
            "cifar_resnet:DEPTH or timm:NAME."
        ) from error
