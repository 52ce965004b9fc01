"""The values of a plan that would do, and others made from them."""

from __future__ import annotations

from typing import Any

from audits.services.plans.values import PlanValues
from tests.audits.builders_reports import model, release, version
from tests.world import World


def plan_values(world: World) -> PlanValues:
    """One release, six groups, a connected suspect, no references; nothing is on disk."""
    data = version(world)
    suspect = model(world.owner, world.auditor, "suspect-1")
    suspect.connection = {"images_per_second": 100.0}
    suspect.save()
    return PlanValues("One", data, [release(world, data, "Northgate")], suspect, probes=100, group_images=10)


def as_form(values: PlanValues, **more: Any) -> dict[str, Any]:
    """What a browser sends for this plan."""
    data: dict[str, Any] = {
        "version": values.version.pk,
        "releases": [one.pk for one in values.releases],
        "suspect": values.suspect.pk,
        "level": "features",
        "counted": "without",
        "probes": 100,
        "group_images": 10,
        "permutations": 1000,
        "alpha": 0.01,
    }
    return data | more


def changed(values: PlanValues, **more: Any) -> PlanValues:
    return PlanValues(**(values.__dict__ | more))
