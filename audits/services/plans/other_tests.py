"""How many forward passes the comparison with other tests costs; light, so that forms may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from audits.models import RegisteredModel
from audits.services.plans.values import levels_of
from provenance.models import Release, Version

VIEWS = 4  # of every image
VIEWED_IMAGES = 64  # at most, of either set


class Planned(Protocol):
    """What the costs depend on; `PlanValues` has it all."""

    @property
    def version(self) -> Version: ...
    @property
    def releases(self) -> Sequence[Release]: ...
    @property
    def suspect(self) -> RegisteredModel: ...
    @property
    def references(self) -> Sequence[RegisteredModel]: ...
    @property
    def probes(self) -> int: ...
    @property
    def held_out(self) -> Version | None: ...


def other_test_passes_of(values: Planned, model: RegisteredModel) -> int:
    """What this model is asked beside the audit itself: images and views by the suspect, views by the shadow model.

    At most so many, where held-out images were released after all.
    """
    if values.held_out is None or not gives_features(values.suspect):
        return 0
    released, held_out = most_images(values.version, values.probes), most_images(values.held_out, values.probes)
    shadow = shadow_of(values.references)
    sets, passes = len(values.releases) + 1, 0
    if model.pk == values.suspect.pk:
        passes += len(values.releases) * released + held_out
    if shadow is not None and model.pk in (values.suspect.pk, shadow.pk):
        passes += sets * VIEWS * min(VIEWED_IMAGES, released, held_out)
    return passes


def most_images(version: Version, probes: int) -> int:
    return min(probes, version.file_count)


def gives_features(model: RegisteredModel) -> bool:
    return "features" in levels_of(model)


def shadow_of(references: Sequence[RegisteredModel]) -> RegisteredModel | None:
    """The first reference that gives features: the model that never saw the release, for comparing views."""
    return next((model for model in references if gives_features(model)), None)
