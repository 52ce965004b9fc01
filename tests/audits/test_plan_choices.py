"""What a plan declares beside its numbers: levels that decide, an open series, held-out images, several mark sets."""

import hashlib
import json
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.models import Audit, Plan
from audits.services.plans.checks import most_references
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import check_unchanged, lock
from audits.services.plans.values import PlanError, values_of
from provenance.intake.manifest import Entry, Manifest
from provenance.marks import MarkSettings
from provenance.models import Dataset, DatasetGrant, Version
from tests.audits.builders_plans import as_form, changed, first_seen_now, plan_values
from tests.audits.builders_reports import GROUPS, finished_audit, model, release
from tests.audits.builders_runs import manifest_of

pytestmark = pytest.mark.django_db

PLAIN = MarkSettings(association="plain", share=0.1)
SIX = MarkSettings(groups=tuple(GROUPS), share=0.1)


@pytest.fixture
def values(world):
    return plan_values(world)


def with_sets(values, *sets: MarkSettings):
    """The same plan, its release marked with these sets; nothing else about the release matters here."""
    (made,) = values.releases
    made.key.settings = sets[0].to_dict() if len(sets) == 1 else {"sets": [one.to_dict() for one in sets]}
    made.key.save()
    return values


def version_of(world, name, contents, organisation=None) -> Version:
    """A version with a manifest on disk that lists these contents."""
    dataset = Dataset.objects.create(
        organisation=organisation or world.owner, name=name, created_by=world.rights_holder
    )
    made = Version.objects.create(
        dataset=dataset,
        number=1,
        state="ready",
        source="upload",
        source_name=f"{name}.zip",
        created_by=world.rights_holder,
        ready_at=timezone.now(),
    )
    rows = []
    for number, content in enumerate(contents):
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        # A caption may hold anything, even what looks like another field.
        entry = Entry(f"{number:04d}.png", 9, sha256, "PNG", 8, 8, "RGB", caption='he said "sha256":"00" and left')
        rows.append((entry, 0, 0))
    manifest_of(made.manifest_folder, rows)
    with Manifest(made.manifest_folder) as manifest:
        made.root, made.file_count = manifest.root, len(manifest)
    made.save()
    return made


# -- levels and series -------------------------------------------------------------------------------------------
def test_primary_and_secondary_levels_are_frozen_in_words(world, values):
    plan = save_draft(changed(values, level="soft", further_primary=["hard", "soft"]), by=world.auditor)
    assert (plan.level, plan.further_primary, plan.primary_levels) == ("soft", ["hard"], ("soft", "hard"))
    assert values_of(plan).secondary_levels == ("features",)
    frozen = lock(plan, by=world.auditor).frozen
    assert frozen["primary_levels"] == ["soft", "hard"]
    assert frozen["secondary_levels"] == ["features"]
    assert "primary levels" in frozen["correction"]
    assert frozen["series_is_open"] is False
    assert frozen["held_out"] is None


def test_every_level_that_decides_must_be_returned_by_all_models(world, values):
    values.suspect.spec["returns"] = ["features", "hard"]
    with pytest.raises(PlanError, match="does not return soft labels"):
        save_draft(changed(values, further_primary=["soft"]), by=world.auditor)
    reference = model(world.owner, world.auditor, "reference-1", "reference")
    reference.spec["returns"] = ["features"]
    with pytest.raises(PlanError, match="reference-1 does not return hard labels"):
        save_draft(changed(values, further_primary=["hard"], references=[reference]), by=world.auditor)


def test_the_forecast_corrects_over_levels_and_releases(world, values):
    assert forecast(values).factor == 1
    both = changed(
        values, further_primary=["soft"], releases=[*values.releases, release(world, values.version, "South")]
    )
    assert (forecast(both).tests, forecast(both).factor) == (4, 4)
    assert forecast(both).smallest_corrected_p == pytest.approx(4 / 720)
    # The first of an open series, which shows three levels beside the copy that is not tested: 1 (3 + 1 + 1).
    assert forecast(changed(values, series_is_open=True)).factor == 5


def test_the_forecast_says_where_the_suspect_is_too_small_for_a_mark(world, values):
    fine = {"family": "blend", "association": "plain", "groups": [], "periods": 8}
    other = release(world, values.version, "South", fine)
    sentence = "suspect-1 sees images of 32 px and cannot see the marks of the release for South, which need more."
    assert sentence in forecast(changed(values, releases=[*values.releases, other])).warnings
    assert sentence not in forecast(values).warnings


def test_the_forecast_corrects_over_earlier_findings(world):
    plan = finished_audit(world).plan
    again = changed(values_of(plan), further_primary=["soft"])
    assert forecast(again).tests == 3  # two levels of this run, one of the earlier one
    opened = changed(again, series_is_open=True)
    # Three levels with and without references, after as many of the run before.
    assert (forecast(opened).tests, forecast(opened).factor) == (6, (6 + 1) * (6 + 6 + 1))
    assert "run 2 of an open series against this suspect, after 6 p-values" in " ".join(forecast(opened).warnings)
    assert forecast(opened, plan).factor == 6 + 1  # what a plan itself has brought is not an earlier run
    # A run that failed was one all the same.
    Audit.objects.create(plan=plan, created_by=world.auditor, state="failed")
    assert "run 3 of an open series" in " ".join(forecast(opened).warnings)


def test_a_row_that_disagrees_with_the_frozen_text_is_refused(world, values):
    plan = lock(save_draft(values, by=world.auditor), by=world.auditor)
    check_unchanged(plan)
    Plan.objects.filter(pk=plan.pk).update(further_primary=["soft"])
    with pytest.raises(PlanError, match="altered the database"):
        check_unchanged(Plan.objects.get(pk=plan.pk))


@pytest.mark.parametrize("altered", [{"permutations": 2_000}, {"group_images": 11}, {"wrong_key_control": False}])
def test_every_number_that_a_permutation_test_reads_is_compared(world, values, altered):
    plan = lock(save_draft(values, by=world.auditor), by=world.auditor)
    Plan.objects.filter(pk=plan.pk).update(**altered)
    with pytest.raises(PlanError, match="altered the database"):
        check_unchanged(Plan.objects.get(pk=plan.pk))


@pytest.mark.parametrize("altered", [{"decoys": 300}, {"exceedances": 5}])
def test_every_number_that_a_rank_test_reads_is_compared(world, values, altered):
    plan = lock(save_draft(with_sets(values, PLAIN), by=world.auditor), by=world.auditor)
    check_unchanged(plan)
    Plan.objects.filter(pk=plan.pk).update(**altered)
    with pytest.raises(PlanError, match="altered the database"):
        check_unchanged(Plan.objects.get(pk=plan.pk))


# -- held-out images ---------------------------------------------------------------------------------------------
def test_held_out_images_must_be_others_than_the_audited_ones(world, values):
    Version.objects.update(state="failed")  # the stock version has no manifest on disk
    audited = version_of(world, "Audited", [f"image {n}" for n in range(600)])
    values = changed(values, version=audited, releases=[release(world, audited, "East")])
    first_seen_now(values.suspect)
    with pytest.raises(PlanError, match="those of the audited version"):
        save_draft(changed(values, held_out=audited), by=world.auditor)
    overlapping = version_of(world, "Overlapping", [f"image {n}" for n in range(590, 650)])
    with pytest.raises(PlanError, match="10 of 60 that were compared"):
        save_draft(changed(values, held_out=overlapping), by=world.auditor)
    apart = version_of(world, "Apart", [f"other {n}" for n in range(60)])
    frozen = lock(save_draft(changed(values, held_out=apart), by=world.auditor), by=world.auditor).frozen
    assert frozen["held_out"] == {"name": "Apart", "version": 1, "root": apart.root}
    few = version_of(world, "Few", ["one", "two"])
    with pytest.raises(PlanError, match="fewer than 10 images"):
        save_draft(changed(values, held_out=few), by=world.auditor)
    apart.state = "failed"
    with pytest.raises(PlanError, match="not ready"):
        save_draft(changed(values, held_out=apart), by=world.auditor)


def test_held_out_images_that_one_may_not_audit_cannot_be_named(world, values):
    theirs = version_of(world, "Theirs", [f"other {n}" for n in range(60)], organisation=world.elsewhere)
    with pytest.raises(PermissionDenied, match="held-out images were granted"):
        save_draft(changed(values, held_out=theirs), by=world.auditor)
    suspect = model(world.laboratory, world.guest_auditor, "their suspect")
    DatasetGrant.objects.create(
        dataset=values.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    mine = version_of(world, "Not granted", [f"other {n}" for n in range(60)])
    with pytest.raises(PermissionDenied, match="held-out images were granted"):
        save_draft(changed(values, suspect=suspect, held_out=mine), by=world.guest_auditor)


# -- several mark sets and restrictions --------------------------------------------------------------------------
def test_every_mark_set_is_asked_about(values):
    both = with_sets(changed(values, decoys=39), SIX, PLAIN)
    ahead = forecast(both)
    # As for one set of six groups, and clean, true and 39 decoy keys on 100 probes, and a wrong key once.
    assert ahead.suspect_passes == 7 * 100 + 60 + 600 + 41 * 100 + 100
    # With an early stop the rank has no grid, so Fisher's bound holds for both together.
    assert 1 / (720 * 40) < ahead.smallest_p < 1 / 720
    exact = forecast(changed(both, exceedances=0)).smallest_p
    assert exact == pytest.approx(1 / (720 * 40))


def test_a_plan_for_both_kinds_needs_numbers_for_both(world, values):
    both = with_sets(values, SIX, PLAIN)
    with pytest.raises(PlanError, match="decoy keys"):
        save_draft(changed(both, decoys=2), by=world.auditor)
    with pytest.raises(PlanError, match="permutations"):
        save_draft(changed(both, permutations=10), by=world.auditor)
    plan = lock(save_draft(both, by=world.auditor), by=world.auditor)
    assert (plan.has_plain, plan.has_associated) == (True, True)
    assert plan.frozen["decoys"] == 199
    assert plan.frozen["permutations"] == 1_000_000
    assert "Fisher" in plan.frozen["combination"]
    check_unchanged(plan)


def test_a_restricted_set_reaches_what_its_assignments_allow(world, values):
    classes = SIX.replace(size_classes=(0, 0, 0, 1, 1, 1))
    ahead = forecast(with_sets(values, classes))
    assert ahead.smallest_p == pytest.approx(1 / 36)
    assert not ahead.reaches_alpha
    banned = with_sets(values, SIX.replace(forbidden=((0, 1), (2, 3))))
    assert forecast(banned).smallest_p == pytest.approx(1 / (720 - 2 * 120 + 24))
    plan = lock(save_draft(banned, by=world.auditor), by=world.auditor)
    assert "that the mark settings allow" in plan.frozen["null"]


def test_references_may_use_up_only_what_a_set_leaves_free(world, values):
    assert most_references(SIX, 199) == 24
    assert most_references(PLAIN, 39) == 38
    # Two blocks of three: 2 x 2 cells are free in each, and one of them must stay.
    assert most_references(SIX.replace(size_classes=(0, 0, 0, 1, 1, 1)), 199) == 7
    pairs = with_sets(values, SIX.replace(size_classes=(0, 0, 1, 1, 2, 2)))
    references = [model(world.owner, world.auditor, f"reference-{n}", "reference") for n in range(3)]
    with pytest.raises(PlanError, match="At most 2 references"):
        save_draft(changed(pairs, references=references), by=world.auditor)


# -- form, page, command -----------------------------------------------------------------------------------------
def filled(values, **more):
    return as_form(values, further_primary=["hard"], series_is_open="on", **more)


def test_the_form_takes_levels_series_and_held_out_images(world, values, sign_in):
    audited = version_of(world, "Audited", [f"image {n}" for n in range(600)])
    apart = version_of(world, "Apart", [f"other {n}" for n in range(60)])
    values = changed(values, version=audited, releases=[release(world, audited, "East")])
    browser = sign_in(world.auditor)
    browser.post(reverse("plan_new"), filled(values, held_out=apart.pk))
    plan = Plan.objects.get()
    assert (plan.primary_levels, plan.series_is_open, plan.held_out) == (("features", "hard"), True, apart)
    page = browser.get(reverse("plan_detail", args=[plan.pk])).content.decode()
    assert "Levels that decide" in page
    assert "features, hard labels" in page
    assert "Apart, version 1" in page
    form = browser.get(reverse("plan_edit", args=[plan.pk])).content.decode()
    assert form.count("checked") >= 4  # release, level, further level, series
    overlapping = version_of(world, "Overlapping", [f"image {n}" for n in range(60)])
    for address in (reverse("plan_edit", args=[plan.pk]), reverse("plan_new")):
        refused = browser.post(address, filled(values, held_out=overlapping.pk, name="Entered just now"))
        assert refused.status_code == 422
        assert "shares images with" in refused.content.decode()
        assert 'value="Entered just now"' in refused.content.decode()
    assert Plan.objects.get().held_out == apart


def test_the_form_asks_for_both_kinds_where_a_release_bears_both(world, values, sign_in):
    page = sign_in(world.auditor).get(reverse("plan_new"), {"version": values.version.pk}).content.decode()
    assert "Permutations" in page
    assert "Decoy keys" not in page
    with_sets(values, SIX, PLAIN)
    page = sign_in(world.auditor).get(reverse("plan_new"), {"version": values.version.pk}).content.decode()
    assert "Permutations" in page
    assert "Decoy keys" in page
    assert "marks in 6 groups and a plain mark" in page


def planned(*options: str) -> dict:
    out = StringIO()
    call_command("plan_audit", "--as", "adam", "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_the_command_declares_the_same(world, values):
    Version.objects.update(state="failed")  # the stock version has no manifest on disk
    audited = version_of(world, "Audited", [f"image {n}" for n in range(600)])
    apart = version_of(world, "Apart", [f"other {n}" for n in range(60)])
    release(world, audited, "East")
    first_seen_now(values.suspect)
    named = ["--dataset", "Audited", "--suspect", "suspect-1", "--probes", "100"]
    told = planned(*named, "--also-primary", "soft", "--series-open", "--held-out", "Apart", "--lock")
    assert told["primary_levels"] == ["features", "soft"]
    assert told["secondary_levels"] == ["hard"]
    assert told["smallest_corrected_p"] == pytest.approx(4 / 720)  # three levels are shown, and more runs may come
    plan = Plan.objects.get(pk=told["plan"])
    assert (plan.series_is_open, plan.held_out) == (True, apart)


def test_the_command_says_of_an_exploratory_plan_that_it_gives_no_evidence(world, values):
    named = ["--dataset", values.version.dataset.name, "--suspect", values.suspect.name, "--probes", "100"]
    plain, exploratory = planned(*named), planned(*named, "--exploratory")
    assert "can_give_evidence" not in plain
    assert plain["reaches_alpha"] is exploratory["reaches_alpha"] is True
    assert exploratory["can_give_evidence"] is False
