"""What a pilot found stands where people decide: on the forms of releases and plans, and in the report."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from audits.models import Pilot, Report
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.report.limitations import NO_FORECAST, general_limitations
from audits.services.pilots.forecasts import (
    NO_PILOT,
    NO_PILOT_OF_MARKS,
    WIDENS,
    of_plan,
    of_release,
    was_made,
)
from audits.services.pilots.shown import release_address
from audits.services.reports.facts import collect
from provenance.marks import MarkSets, MarkSettings
from tests.audits.builders_pilots import finished
from tests.audits.builders_reports import finished_audit
from tests.audits.builders_trainings import scenes_version

pytestmark = [pytest.mark.django_db, pytest.mark.long]


def test_the_form_of_a_release_says_how_often_a_pilot_found_its_settings(world, sign_in):
    pilot, client = finished(world, scenes_version(world, 120)), sign_in(world.rights_holder)
    struck = PilotSettings.from_json(pilot.settings).proposals[0]
    query = release_address(pilot, struck, world.rights_holder).partition("?")[2] + "&near_duplicates=mark"
    shown = client.get(f"{reverse('release_plan')}?{query}").content.decode()
    assert "“Strong patch” was found in 0 of 3 audits" in shown
    Pilot.objects.all().delete()
    shown = client.get(f"{reverse('release_plan')}?{query}").content.decode()
    assert "No pilot was made with these settings" in shown


@pytest.fixture
def audit(world):
    return finished_audit(world)


def pilot_of(world, audit, days):
    """A pilot with the settings of the audited copy, that ended so many days after the plan was locked."""
    release = audit.plan.releases.get()
    pilot = finished(world, scenes_version(world, 40))
    settings = PilotSettings.from_json(pilot.settings)
    (struck,) = release.key.mark_sets.struck
    assert isinstance(struck, MarkSettings)
    proposals = [Proposal("As released", struck).to_json(), settings.proposals[1].to_json()]
    pilot.version, pilot.settings = release.version, {**pilot.settings, "proposals": proposals}
    pilot.finished_at = audit.plan.locked_at + timedelta(days=days)
    pilot.save()
    return pilot


def report_of(audit, world):
    return collect(Report(audit=audit, number="TM-1", created_by=world.legal), timezone.now())


def test_plan_and_report_name_the_pilot_that_was_made_before_the_lock(world, sign_in, audit):
    pilot_of(world, audit, -1)
    page = sign_in(world.auditor).get(reverse("plan_detail", args=[audit.plan.pk])).content.decode()
    assert "“As released” was found in 0 of 3 audits" in page
    facts = report_of(audit, world)
    assert any("“As released” was found in 0 of 3 audits" in sentence for sentence in facts.pilots)
    power = dict(general_limitations(facts))["Power."]
    assert power.startswith("How likely this test was to find a trace if there had been one was tried beforehand")
    assert "As released" in power


def test_a_pilot_made_after_the_lock_is_none_that_the_plan_had(world, audit):
    pilot_of(world, audit, 1)
    assert of_plan(audit.plan.releases.all(), audit.plan.locked_at) == [NO_PILOT]
    facts = report_of(audit, world)
    assert facts.pilots == ()
    assert dict(general_limitations(facts))["Power."] == NO_FORECAST


def test_where_one_of_two_mark_sets_was_tried_the_other_is_named(world):
    pilot = finished(world)
    struck, at_home = (one.settings for one in PilotSettings.from_json(pilot.settings).proposals)
    told = of_release(pilot.version, MarkSets((struck.replace(share=0.2), at_home)))
    assert NO_PILOT not in told
    assert told[0] == NO_PILOT_OF_MARKS
    assert "“5 % at home” was found" in told[1]
    assert told[-1] == WIDENS
    assert was_made(told)
    other = replace(at_home, share=0.1)
    assert of_release(pilot.version, MarkSets((struck.replace(share=0.2), other))) == [NO_PILOT]
