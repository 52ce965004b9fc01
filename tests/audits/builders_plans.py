"""The values of a plan that would do, and others made from them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from audits.forms.plan_choices import initial_of
from audits.models import RegisteredModel
from audits.services.plans.values import PlanValues
from audits.suspects.identity import Identity
from tests.audits.builders_reports import model, release, version
from tests.world import World


def plan_values(world: World) -> PlanValues:
    """One release, six groups, a connected suspect, no references; nothing is on disk."""
    data = version(world)
    made = release(world, data, "Northgate")  # before the suspect is seen
    suspect = model(world.owner, world.auditor, "suspect-1")
    connected(suspect)
    return PlanValues("One", data, [made], suspect, probes=100, group_images=10)


def connected(model: RegisteredModel) -> RegisteredModel:
    """As after a connection test, by which nobody knows it again."""
    model.connection, model.identity = {"images_per_second": 100.0}, Identity(model.sha256).to_json()
    model.save()
    return model


def first_seen_now(suspect: RegisteredModel) -> None:
    """As if it had just been registered, after every release that a test has made by now."""
    RegisteredModel.objects.filter(pk=suspect.pk).update(created_at=timezone.now())
    suspect.refresh_from_db()


def as_form(values: PlanValues, **more: Any) -> dict[str, Any]:
    """What a browser sends for this plan, its name left empty: of boxes only those that are ticked."""
    shown = {name: _sent(value) for name, value in initial_of(values).items() if name != "name"}
    return {name: sent for name, sent in shown.items() if sent is not None} | more


def _sent(value: Any) -> Any:
    if isinstance(value, bool):
        return "on" if value else None
    return value.pk if isinstance(value, models.Model) else value


def changed(values: PlanValues, **more: Any) -> PlanValues:
    return PlanValues(**(values.__dict__ | more))
