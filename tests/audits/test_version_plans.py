"""Plans about releases in which pictures come in one of two versions: words, forecasts, refusals, second audits."""

from __future__ import annotations

from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from audits.models import Audit
from audits.pilots.pilot.settings import PilotError, Proposal
from audits.robustness.copies import RobustnessError
from audits.services.calibrations import notes
from audits.services.pilots.forecasts import NO_PILOT_OF_VERSIONS, of_plan, was_made
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.values import PlanError, PlanValues, values_of
from audits.services.runs.choices import asked_versions
from provenance.marks import VersionsSettings
from provenance.services.version_choices import published_versions
from tests.audits.builders_choice_runs import locked_plan, make_version, register, remembering, withheld_release
from tests.audits.builders_plans import changed
from tests.audits.builders_robustness import quick
from tests.audits.builders_version_runs import versions_release
from tests.known_keys import known_keys

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def copy(world):
    with known_keys(1):
        return versions_release(world, make_version(world))


@pytest.fixture
def pictures(copy):
    return copy.facts["versions"]["blocks"]


@pytest.fixture
def values(world, copy):
    suspect = register(world, "suspect", remembering(None, seed=2))
    return PlanValues("One", copy.version, [copy], suspect, views=6, smallest_crop=0.8)


def test_a_plan_says_beforehand_what_it_costs_and_could_find(world, copy, pictures, values, sign_in):
    plan = locked_plan(world, [copy], values.suspect)
    ahead = forecast(values_of(plan), plan)
    assert ahead.suspect_passes == ahead.passes == 2 * pictures * 6
    assert ahead.smallest_p == pytest.approx(2.0**-pictures)
    assert ahead.powers[-1].power > 0.8
    frozen = plan.frozen
    assert frozen["alternatives"].startswith("the two versions of every picture")
    assert frozen["blocks_asked"][0]["blocks"] == pictures
    assert {"kind": "versions"}.items() <= frozen["releases"][0]["settings"].items()
    assert "permutations" not in frozen
    page = sign_in(world.auditor).get(reverse("plan_detail", args=[plan.pk])).content.decode()
    assert "a model tells published versions of pictures from those at home" in page
    assert NO_PILOT_OF_VERSIONS in unescape(page)
    assert not was_made(of_plan([copy]))
    ((test, unlike),) = notes.tests_of(plan).items()
    assert test == "keyed choice"
    assert "This audit has 2, the versions of one picture." in unlike.pop()


def test_the_form_names_versions_and_asks_for_views(world, copy, sign_in):
    page = unescape(sign_in(world.auditor).get(reverse("plan_new"), {"version": str(copy.version.pk)}).content.decode())
    assert "North (some images in one of two versions)" in page
    assert 'name="views"' in page
    assert 'name="probes"' not in page
    assert "or come in two versions" in page


def test_releases_of_both_kinds_of_choice_do_not_go_into_one_plan(world, copy, values):
    with known_keys(2):
        home = withheld_release(world, copy.version, "South")
    with pytest.raises(PlanError, match="images at home and two versions of a picture are tested in different ways"):
        save_draft(changed(values, releases=[copy, home]), by=world.auditor)


def test_blocks_that_were_asked_about_are_those_of_the_same_kind(world, copy, pictures, values):
    with known_keys(2):
        home = withheld_release(world, copy.version, "South")
    for plan in (
        locked_plan(world, [home], values.suspect, exploratory=True),
        locked_plan(world, [copy], values.suspect),
    ):
        asked = forecast(values).exposures[0][1]
        assert (asked.blocks, asked.exposed, asked.runs) == (pictures, 0, 0)
        Audit.objects.create(plan=plan, created_by=world.auditor, asked_at=timezone.now(), nonce="ab" * 32)
    asked = forecast(values).exposures[0][1]
    assert (asked.exposed, asked.runs) == (pictures, 1)


def test_pictures_are_kept_for_a_second_audit_whichever_version_stayed_home(world, copy, pictures, values):
    half = {"kept_share": 0.5, "series_is_open": True}
    first, second = (locked_plan(world, [copy], values.suspect, **half, asks_kept=kept) for kept in (False, True))
    assert "versions/second-audit" in first.frozen["kept_rule"]
    whole, parts = published_versions(copy), [asked_versions(plan, copy) for plan in (first, second)]
    assert len(parts[1]) == pictures // 2
    places = [part.positions.tolist() for part in parts]
    assert sorted(places[0] + places[1]) == sorted(whole.positions.tolist())
    home = dict(zip(whole.positions.tolist(), whole.home.tolist(), strict=True))
    for part in parts:
        assert part.home.tolist() == [home[place] for place in part.positions.tolist()]
    with pytest.raises(PlanError, match="too few for any p to come to alpha"):
        save_draft(changed(values, kept_share=0.02), by=world.auditor)


def test_neither_pilots_nor_tables_of_robustness_try_versions():
    with pytest.raises(PilotError, match="not two versions of a picture"):
        Proposal("faint", VersionsSettings())
    with pytest.raises(RobustnessError, match="not of versions yet"):
        quick(mark=VersionsSettings())
