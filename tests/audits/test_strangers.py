"""What an organisation does that has no part in a dataset neither stops its owner nor goes uncounted."""

from __future__ import annotations

import shutil

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audits.models import Audit, Plan
from audits.services.plans.drafting import save_draft
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.series import shown_before, shown_by_strangers
from audits.services.plans.values import PlanError, PlanValues
from audits.services.reports.keys import keys_facts
from audits.services.runs import queueing
from provenance.models import Dataset, DatasetGrant, Overlap, User, Version
from tests.audits.builders_plans import as_form, changed, connected, plan_values
from tests.audits.builders_reports import model, release, version
from tests.audits.builders_verdicts import Bench
from tests.provenance.test_overlaps import version_of

pytestmark = pytest.mark.django_db

STRONG = {("Northgate", "features"): 0.2}


def same_images(one: Version, other: Version) -> None:
    first, second = sorted((one, other), key=lambda each: each.pk)
    Overlap.objects.create(one=first, other=second, shared=600, smaller=600)


def queued(values: PlanValues, by: User, **more) -> Audit:
    return queueing.queue(lock(save_draft(changed(values, **more), by=by), by=by), by=by)


@pytest.fixture
def theirs(world) -> Version:
    """The same images in the hands of another organisation, which has marked a copy of them itself."""
    made = version(world, "Theirs")
    made.dataset.organisation = world.elsewhere
    made.dataset.save()
    release(world, made, "Somebody")
    return made


@pytest.fixture
def values(world, theirs):
    """The owner's plan."""
    values = plan_values(world)
    same_images(theirs, values.version)
    return values


@pytest.fixture
def stranger(world, theirs, values):
    """A plan of the other organisation for the same weights."""
    suspect = connected(model(world.elsewhere, world.outsider, "suspect-1"))
    return PlanValues("Theirs", theirs, list(theirs.releases.all()), suspect, probes=100, group_images=10)


@pytest.mark.parametrize("kind", [{}, {"series_is_open": True}, {"exploratory": True}])
def test_a_strangers_run_stops_no_run_of_the_owner_and_counts_as_if_it_had_found_nothing(world, values, stranger, kind):
    queued(stranger, world.outsider, **kind)
    ahead = forecast(values)
    assert (ahead.refusal, ahead.factor) == ("", 2)
    opened = changed(values, name="Two", series_is_open=True)
    assert (forecast(opened).refusal, forecast(opened).factor) == ("", (0 + 1) * (0 + 3 + 3 + 1))
    assert shown_before(values.suspect, values.version) == 0
    assert queued(values, world.auditor).state == "queued"


def test_nor_does_the_owners_run_stop_the_stranger(world, values, stranger):
    queued(values, world.auditor)
    assert forecast(stranger).refusal == ""
    assert queued(stranger, world.outsider).state == "queued"


def test_a_suspect_that_a_stranger_took_as_a_reference_is_asked_all_the_same(world, values, stranger):
    reference = connected(model(world.elsewhere, world.outsider, "mine", role="reference"))
    reference.sha256 = values.suspect.sha256
    connected(reference)
    other = connected(model(world.elsewhere, world.outsider, "other"))
    queued(stranger, world.outsider, suspect=other, references=[reference], decide_with_references=False)
    assert forecast(values).refusal == ""


@pytest.mark.parametrize("grant", [True, False])
def test_a_run_under_the_owners_grant_is_one_of_the_house(world, values, grant):
    """So is one that the auditor's own organisation made against a copy that it holds itself."""
    guest = connected(model(world.laboratory, world.guest_auditor, "suspect-1"))
    data, by = values.version, world.guest_auditor
    DatasetGrant.objects.create(dataset=data.dataset, auditor=by, granted_by=world.rights_holder)
    granted = changed(values, suspect=guest)
    if grant:
        queued(granted, by)
        mine = values
    else:
        own = version(world, "Laboratory's")
        own.dataset.organisation = world.laboratory
        own.dataset.save()
        same_images(own, data)
        one = release(world, own, "Friend")
        one.key.committed_at = values.releases[0].key.committed_at
        one.key.save()
        queued(changed(granted, version=own, releases=[one]), by)
        mine = granted
    assert "A closed run of this suspect" in forecast(changed(mine, name="Two")).refusal


def test_a_result_counts_strangers_runs_with_p_1(world, theirs, sign_in):
    bench = Bench(world)
    same_images(theirs, bench.version)
    suspect = model(world.elsewhere, world.outsider, "suspect-1")
    foreign = {"organisation": world.elsewhere, "created_by": world.outsider, "suspect": suspect, "version": theirs}
    bench.queued(bench.plan(*theirs.releases.all(), **foreign))
    row = bench.stored(bench.queued(bench.plan(bench.releases[0])), STRONG).rows.get()
    assert (row.result["tests"], row.p_corrected) == (2, pytest.approx(2 / 720))
    opened = bench.plan(bench.releases[1], series_is_open=True)
    row = bench.stored(bench.queued(opened), {("Southbank", "features"): 0.2}).rows.get()
    # Three p-values of the owner's own run come before, three are shown, and three are the stranger's.
    assert row.p_corrected == pytest.approx((3 + 1) * (3 + 3 + 3 + 1) / 720)
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[row.audit_id])).content.decode()
    assert "1 earlier run of another organisation" in page
    assert "Cedar" not in page


def test_what_many_runs_show_takes_no_more_questions(world, theirs):
    bench = Bench(world)
    same_images(theirs, bench.version)
    suspect, reference = (model(world.elsewhere, world.outsider, name) for name in ("suspect-1", "other"))
    foreign = {"organisation": world.elsewhere, "created_by": world.outsider, "version": theirs}
    questions = set()
    for runs in (1, 2, 3):
        bench.queued(bench.plan(*theirs.releases.all(), suspect=suspect, **foreign))
        own = bench.plan(*bench.releases)
        own.references.add(reference)
        last = bench.queued(own)
        look = bench.plan(bench.releases[0], suspect=model(world.owner, world.auditor, f"third {runs}"))
        look.references.add(bench.suspect)
        bench.queued(look)
        with CaptureQueriesContext(connection) as asked:
            assert shown_by_strangers(bench.suspect, bench.version) == 3 * runs
            # Two releases, three levels, with the reference and without; and of each look three for every level.
            assert shown_before(bench.suspect, bench.version) == 12 * runs + 9 * runs
        questions.add(len(asked))
        assert shown_before(bench.suspect, bench.version, last) == 12 * (runs - 1) + 9 * (runs - 1)
    assert len(questions) == 1


def test_runs_against_other_images_of_the_owner_are_listed_with_their_number(world, sign_in):
    """Each set of images is a question of its own; whoever asks many finds a small p, so all can be seen."""
    bench = Bench(world)
    others = [version(world, name) for name in ("Moors", "Moors again", "Fens")]
    same_images(others[0], others[1])
    for number, data in enumerate(others):
        one = release(world, data, f"Reader {number}")
        audit = bench.queued(bench.plan(one, version=data))
        if number == 0:
            bench.stored(audit, {("Reader 0", "features"): 0.2})
    stranger = bench.plan(bench.releases[0], suspect=model(world.owner, world.auditor, "other weights"))
    bench.queued(stranger)
    audit = bench.stored(bench.queued(bench.plan(bench.releases[0])), STRONG)
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    panel = page.partition('id="other-images"')[2].partition("</section>")[0]
    assert "run 3 times against 2 other sets of images of the same owner" in panel
    assert (panel.count('<th scope="row">'), panel.count("evidence")) == (3, 1)
    assert stranger.name not in panel
    told = sign_in(world.auditor).get(reverse("audit_json", args=[audit.pk])).json()["other_images"]
    assert (told["sets"], len(told["runs"]), told["runs_elsewhere"]) == (2, 3, 0)
    assert [run["conclusion"] for run in told["runs"]] == ["evidence", None, None]


def test_a_guest_learns_of_runs_against_other_images_but_their_number(world, sign_in):
    bench = Bench(world)
    data = version(world, "Moors")
    bench.stored(bench.queued(bench.plan(release(world, data, "Reader"), version=data)))
    DatasetGrant.objects.create(
        dataset=bench.version.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder
    )
    suspect = model(world.laboratory, world.guest_auditor, "suspect-1")
    mine = {"organisation": world.laboratory, "created_by": world.guest_auditor, "suspect": suspect}
    audit = bench.stored(bench.queued(bench.plan(bench.releases[0], **mine)))
    page = sign_in(world.guest_auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "run 1 time against 1 other set of images" in page
    assert "1 of them is not listed" in page
    assert "plan 1" not in page
    told = keys_facts(audit)
    assert (told.other_images, told.other_runs_elsewhere, told.other_sets) == ((), 1, 1)
    theirs = bench.stored(bench.queued(bench.plan(bench.releases[0])))
    assert [run.end for run in keys_facts(theirs).other_images] == ["no evidence"]


# -- what could not be compared ----------------------------------------------------------------------------------
def test_a_plan_is_not_locked_while_one_of_its_owners_manifests_is_missing(world, values, theirs):
    lost = version(world, "Lost")
    Version.objects.filter(pk=lost.pk).update(compared_at=None)
    draft = save_draft(values, by=world.auditor)
    with pytest.raises(PlanError, match=r"Lost, version 1 shares with others.*manifest is missing"):
        lock(draft, by=world.auditor)
    assert "manifest is missing" in forecast(values, draft).refusal
    look = lock(save_draft(changed(values, exploratory=True), by=world.auditor), by=world.auditor)
    assert look.frozen["not_compared"] == {"models": 0, "versions": 1}
    Version.objects.filter(pk=lost.pk).update(compared_at=values.version.compared_at)
    assert lock(draft, by=world.auditor).is_locked


def test_a_guest_is_told_the_owners_other_versions_as_a_number(world, values):
    lost = [version(world, name) for name in ("Secret moors", "Secret fens")]
    guest = connected(model(world.laboratory, world.guest_auditor, "suspect-1"))
    data = values.version
    DatasetGrant.objects.create(dataset=data.dataset, auditor=world.guest_auditor, granted_by=world.rights_holder)
    granted = changed(values, suspect=guest)
    own = version(world, "Our own")
    Dataset.objects.filter(pk=own.dataset_id).update(organisation=world.laboratory)
    Version.objects.filter(pk__in=[one.pk for one in (*lost, own, data)]).update(compared_at=None)
    draft = save_draft(granted, by=world.guest_auditor)
    with pytest.raises(PlanError) as refused:
        lock(draft, by=world.guest_auditor)
    for told in (str(refused.value), forecast(granted, draft).refusal):
        assert "Meadows, version 1, Our own, version 1, 2 versions of other datasets of the owner shares" in told
        assert "Secret" not in told
    assert "Secret fens, version 1, Secret moors, version 1 shares" in forecast(values).refusal
    assert "Our own" not in forecast(values).refusal


def test_a_version_whose_manifest_is_there_is_compared_by_the_lock(world, values, theirs):
    late = version_of(world, "Late", range(5))
    for other in (values.version, theirs):
        shutil.copytree(late.manifest_folder, other.manifest_folder)
    draft = changed(values, name="One")
    assert "Late, version 1 shares with others, for it was not compared yet" in forecast(draft).refusal
    saved = save_draft(draft, by=world.auditor)
    assert forecast(draft).refusal == ""
    Version.objects.filter(pk=late.pk).update(compared_at=None)
    assert lock(saved, by=world.auditor).is_locked


def test_what_others_have_that_could_not_be_compared_is_a_number(world, values, theirs, sign_in):
    unknown = model(world.elsewhere, world.outsider, "Never tested")
    Version.objects.filter(pk=theirs.pk).update(compared_at=None)
    draft = save_draft(values, by=world.auditor)
    for place, words in (("plan_detail", {"args": [draft.pk]}), ("plan_forecast", {})):
        data = as_form(values) if place == "plan_forecast" else {}
        page = sign_in(world.auditor).get(reverse(place, **words), data).content.decode()
        assert "1 model of this server that had no connection test" in page
        assert "1 dataset version without a manifest" in page
        assert unknown.name not in page
    assert lock(draft, by=world.auditor).frozen["not_compared"] == {"models": 1, "versions": 1}


def test_a_lock_freezes_which_versions_hold_the_same_images(world, values, theirs):
    plan = lock(save_draft(values, by=world.auditor), by=world.auditor)
    frozen = plan.frozen["same_images"]
    assert (frozen["versions"], frozen["elsewhere"]) == (2, 1)
    same_images(version(world, "Later"), values.version)
    again = lock(save_draft(changed(values, name="Two"), by=world.auditor), by=world.auditor)
    assert again.frozen["same_images"]["versions"] == 3
    assert again.frozen["same_images"]["digest"] != frozen["digest"]
    assert Plan.objects.get(pk=plan.pk).frozen["same_images"] == frozen
