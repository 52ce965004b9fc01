"""Whether images can teach a method, and groups show a mark; without importing torch or reading images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from audits.pilots.checked import TrainingError
from audits.pilots.methods import Method
from provenance.marks import MarkSettings
from provenance.wording import p_value

FEWEST_CLASSES = 2


def check_suited(methods: Iterable[type[Method] | Method], images: int, facts: Mapping[str, Any]) -> None:
    """facts: of a version, from which so many images are taken. Raises TrainingError where some have to lack what a
    method learns from; images that are drawn by chance may lack it though this says nothing."""
    labelled, captioned = facts.get("labelled", images), facts.get("captioned", images)
    for method in methods:
        if method.learns_from == "classes" and labelled < images:
            raise TrainingError("A classifier needs a class for every image; choose a method that learns without.")
        if method.learns_from == "classes" and len(facts.get("labels", range(FEWEST_CLASSES))) < FEWEST_CLASSES:
            raise TrainingError("A classifier needs two classes or more; choose a method that learns without.")
        if method.learns_from == "captions" and labelled + captioned < images:
            raise TrainingError("CLIP needs a caption or a class for every image; choose a method that learns without.")


def check_alpha(settings: MarkSettings, alpha: float) -> None:
    """Raises TrainingError where no assignment of so few groups is rare enough; plain marks have decoys instead."""
    if not settings.is_plain and settings.smallest_p > alpha:
        raise TrainingError(
            f"With {len(settings.groups)} groups no p of associated marks lies below {p_value(settings.smallest_p)} "
            f"and alpha is {alpha:g}; take more groups, plain marks, or a larger alpha where it can be chosen."
        )
