"""Blocks of images at home that are kept for a second audit, and those that a suspect was asked about before."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.models import Audit
from audits.planning.exposure import Exposure, places_asked, places_exposed
from audits.services.plans.drafting import save_draft
from audits.services.plans.exposed import exposure_of_run
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError, PlanValues, values_of
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from audits.services.runs.choices import asked_choice
from provenance.services.keyed_choices import keyed_choice
from tests.audits.builders_choice_runs import (
    BLOCK,
    BLOCKS,
    locked_plan,
    make_version,
    pixels_below,
    register,
    remembering,
    withheld_release,
)
from tests.audits.builders_plans import changed
from tests.known_keys import known_keys

HALF = {"kept_share": 0.5, "series_is_open": True}


def test_a_share_keeps_the_last_blocks_of_the_public_order():
    assert places_asked(30, 0.0, False) == range(30)
    assert places_asked(30, 0.34, False) == range(20)
    assert places_asked(30, 0.34, True) == range(20, 30)
    assert places_asked(10, 0.3, True) == range(7, 10)  # whatever 0.3 times 10 is in binary


def test_blocks_are_exposed_once_and_those_of_other_copies_may_be_any():
    assert places_exposed(range(20, 30), []) == 0
    assert places_exposed(range(20, 30), [range(20), range(15)]) == 0
    assert places_exposed(range(20), [range(25, 30), range(15), range(15)]) == 15
    assert places_exposed(range(20), [range(15)], elsewhere=3) == 18
    assert places_exposed(range(20), [range(30)], elsewhere=30) == 20


def test_words_say_what_is_asked_kept_and_exposed():
    fresh = Exposure(blocks=30, kept=10, asks_kept=False, exposed=0, runs=0)
    assert fresh.words == (
        "20 of 30; 10 are kept for a second audit; no earlier run asked this suspect about any of them"
    )
    second = Exposure(blocks=30, kept=10, asks_kept=True, exposed=4, runs=2)
    assert (second.asked, "the 10 of 30 that are kept" in second.words) == (10, True)
    assert "up to 4 of those asked about are exposed, since 2 earlier runs asked" in second.words


@pytest.fixture
def copy(world):
    with known_keys(1):
        return withheld_release(world, make_version(world))


def planned(copy, suspect, **more) -> PlanValues:
    return PlanValues("One", copy.version, [copy], suspect, views=6, smallest_crop=0.8, **more)


def as_if_asked(plan, by) -> Audit:
    return Audit.objects.create(plan=plan, created_by=by, asked_at=timezone.now(), nonce="ab" * 32)


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
def test_both_parts_are_apart_and_what_was_asked_is_counted_for_the_next(world, copy, sign_in):
    suspect = register(world, "suspect", remembering(None, seed=2))
    values = planned(copy, suspect, **HALF)
    first = locked_plan(world, [copy], suspect, **HALF)
    assert forecast(values).suspect_passes == BLOCKS // 2 * BLOCK * 6
    (frozen,) = first.frozen["blocks_asked"]
    assert (frozen["blocks"], frozen["kept"], frozen["exposed"]) == (BLOCKS, BLOCKS // 2, 0)
    assert "withheld/second-audit" in first.frozen["kept_rule"]
    second = locked_plan(world, [copy], suspect, **HALF, asks_kept=True)
    parts = [asked_choice(plan, copy).positions.tolist() for plan in (first, second)]
    assert not set(parts[0]) & set(parts[1])
    assert sorted(parts[0] + parts[1]) == sorted(keyed_choice(copy).positions.tolist())

    def ahead(**more) -> Exposure:
        return forecast(changed(values, **more)).exposures[0][1]

    as_if_asked(first, world.auditor)
    assert (ahead().exposed, ahead().runs) == (BLOCKS // 2, 1)
    assert (ahead(asks_kept=True).exposed, ahead(asks_kept=True).runs) == (0, 1)
    assert ahead(kept_share=0.0).exposed == BLOCKS // 2
    for share, told in ((0.5, False), (0.4, True)):
        warnings = forecast(changed(values, asks_kept=True, kept_share=share)).warnings
        assert any("would be no second audit" in one for one in warnings) is told
    run = as_if_asked(second, world.auditor)
    assert ahead(kept_share=0.0).exposed == BLOCKS
    found = exposure_of_run(run, copy)
    assert (found.exposed, found.runs, found.asked) == (0, 1, BLOCKS // 2)
    # The same model under another name, as a reference of another suspect: it was asked all the same.
    again = register(world, "again", remembering(None, seed=2))
    assert forecast(planned(copy, again)).exposures[0][1].exposed == BLOCKS
    other = register(world, "other", remembering(None, seed=3))
    assert forecast(planned(copy, other)).exposures[0][1].exposed == 0
    page = sign_in(world.auditor).get(reverse("plan_detail", args=[second.pk])).content.decode()
    assert "the 15 of 30 that are kept for a second audit; no earlier run" in page
    assert "those that were kept for a second audit" in page


@pytest.mark.django_db(transaction=True)
def test_what_could_not_come_to_alpha_is_refused(world, copy):
    suspect = register(world, "suspect", remembering(None, seed=2))
    values = planned(copy, suspect)

    def refused(**more) -> str:
        with pytest.raises(PlanError) as found:
            save_draft(changed(values, **more), by=world.auditor)
        return found.value.sentence

    for share in (0.6, -0.1, float("nan"), float("inf")):
        assert "Keep a share of 0 to 0.5" in refused(kept_share=share)
    assert "name the share" in refused(asks_kept=True)
    assert "3 of 30 blocks are kept, too few" in refused(kept_share=0.1, alpha=0.001)
    assert "0 of 30 blocks are kept" in refused(kept_share=0.01)
    with known_keys(2):
        other = withheld_release(world, copy.version, "South")
    assert "one copy only" in refused(kept_share=0.5, releases=[copy, other])
    plan = save_draft(changed(values, kept_share=0.2), by=world.auditor)
    (warning,) = [one for one in forecast(values_of(plan)).warnings if "closed run" in one]
    assert "exploratory" in warning
    lock(plan, by=world.auditor)
    as_if_asked(plan, world.auditor)
    # Of another copy of the same images any block may be one of these.
    elsewhere = forecast(changed(values, releases=[other])).exposures[0][1]
    assert (elsewhere.exposed, elsewhere.runs) == (24, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
@pytest.mark.long
def test_a_second_audit_finds_by_blocks_that_the_first_never_asked_about(world, copy, sign_in):
    suspect = register(world, "guilty", remembering(pixels_below(copy.folder / "files"), seed=1))
    found = []
    for number, asks_kept in enumerate((False, True)):
        plan = locked_plan(world, [copy], suspect, **HALF, asks_kept=asks_kept)
        audit = queueing.queue(plan, by=world.auditor)
        audit.refresh_from_db()
        assert (audit.state, audit.job.reason) == ("done", "")
        row = audit.rows.get()
        assert (row.result["blocks"], row.result["alternatives"]) == (BLOCKS // 2, BLOCKS // 2 * BLOCK)
        assert row.p < 0.01
        told = as_json(audit, world.auditor)["releases"][0]["blocks_asked"]
        assert (told["asked"], told["kept"], told["exposed"], told["runs"]) == (15, 15, 0, number)
        found.append(row.result["probes_digest"])
        page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
        assert f"Blocks asked about: {told['words']}." in page
    assert found[0] != found[1]
    out = StringIO()
    named = ("--dataset", str(copy.version.pk), "--suspect", "guilty", "--series-open")
    call_command("plan_audit", "--as", "adam", "--json", *named, "--keep-share", "0.5", "--ask-kept", stdout=out)
    assert (
        "up to 15 of those asked about are exposed, since 2 earlier runs"
        in json.loads(out.getvalue())["blocks"]["North"]
    )
