"""What is corrected together in the database: levels, releases and earlier runs, each as its own plan declared it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from django.urls import reverse

from audits.models import Audit, AuditRow
from audits.services.plans.forecasts import forecast
from audits.services.plans.series import OtherWeights, other_runs, other_weights
from audits.services.plans.values import PlanError, values_of
from audits.services.results.as_json import as_json
from audits.statistics.corrections import Finding, correct
from audits.statistics.density import LEVELS
from provenance.models import Job, LogEntry
from provenance.services.jobs import sweeper, worker
from tests.audits.builders_reports import model
from tests.audits.builders_verdicts import Bench

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def bench(world) -> Bench:
    return Bench(world)


def findings(audit: Audit, run: int) -> list[Finding]:
    return [
        Finding(str(row.release_id), level, run, found["p"], level in audit.plan.primary_levels)
        for row in audit.rows.order_by("release__recipient")
        for level, found in row.result["levels"].items()
        if "p" in found
    ]


def corrected_in(audit: Audit) -> list[float]:
    rows = audit.rows.order_by("release__recipient")
    return [found["corrected"]["p"] for row in rows for found in row.result["levels"].values() if "p" in found]


def test_levels_and_releases_are_corrected_together(bench):
    plan = bench.plan(further_primary=["hard"])
    audit = bench.stored(bench.queued(plan), {("Northgate", "hard"): 0.2})
    expected = correct(findings(audit, 1))
    assert corrected_in(audit) == pytest.approx([item.corrected for item in expected])
    north, south = audit.rows.order_by("release__recipient")
    assert north.level == north.result["decided_by"] == "hard"
    assert north.p == north.result["levels"]["hard"]["p"] == pytest.approx(1 / 720)
    assert north.p_corrected == pytest.approx(4 / 720)
    assert north.result["primary_levels"] == ["features", "hard"]
    assert (north.result["tests"], audit.facts["tests"]) == (4, 4)
    assert (north.conclusion, audit.conclusion) == ("evidence", "evidence")
    assert south.conclusion == "no_evidence"
    soft, hard = (north.result["levels"][level]["corrected"] for level in ("soft", "hard"))
    assert (soft["primary"], soft["together"]) == (False, 6)
    assert (hard["primary"], hard["together"]) == (True, 4)
    assert "4 primary tests of this suspect (2 releases and 2 levels)" in hard["reason"]
    assert "Decided by the hard labels" in audit.sentence
    assert "“Northgate”" in audit.sentence
    assert "“Southbank”" not in audit.sentence


def test_a_strong_secondary_level_decides_nothing(bench):
    audit = bench.stored(bench.queued(bench.plan()), {("Northgate", "soft"): 0.2})
    row = audit.rows.get(release__recipient="Northgate")
    assert row.result["levels"]["soft"]["p"] == pytest.approx(1 / 720)
    assert row.result["levels"]["soft"]["corrected"]["p"] == pytest.approx(6 / 720)
    assert (row.level, audit.conclusion) == ("features", "no_evidence")
    assert "Decided by" not in audit.sentence


def test_runs_of_other_weights_are_counted_apart(bench):
    """A file changed by one byte is another suspect, so a report must say how many were tried."""
    north, south = bench.releases
    bench.queued(bench.plan(south))
    altered, other = (model(bench.world.owner, bench.world.auditor, name) for name in ("suspect-2", "suspect-3"))
    for suspect in (altered, altered, other):
        bench.queued(bench.plan(north, suspect=suspect))
    audit = bench.queued(bench.plan())
    bench.queued(bench.plan(suspect=other))  # after it
    assert other_weights(audit) == OtherWeights(runs=3, files=2)
    assert len(other_runs(audit).earlier) == 1
    assert other_weights(bench.queued(bench.plan(south, suspect=altered))) == OtherWeights(runs=3, files=2)


def test_earlier_runs_count_by_what_they_declared(bench):
    """Features decided first; later soft labels, about one of the two releases: tests of both copies count."""
    north = bench.releases[0]
    first = bench.stored(bench.queued(bench.plan()))
    bench.ended(bench.queued(bench.plan()), "failed")  # before it asked anything: it has a number and no p-value
    second = bench.stored(bench.queued(bench.plan(north, level="soft")), {("Northgate", "soft"): 0.2})
    expected = correct([*findings(second, 3), *findings(first, 1)])
    assert corrected_in(second) == pytest.approx([item.corrected for item in expected[:3]])
    row = second.rows.get()
    assert row.result["tests"] == 3  # soft labels of this run and features of both releases of the first
    assert row.p_corrected == pytest.approx(3 / 720)
    assert "2 runs" in row.result["levels"]["soft"]["corrected"]["reason"]

    # Results of versions before levels could be declared count as they did then.
    old = first.rows.get(release=north)
    for name in ("primary_levels", "decided_by"):
        del old.result[name]
    old.level = ""
    old.save()
    third = bench.stored(bench.queued(bench.plan(north)))
    assert third.rows.get().result["tests"] == 4


def test_a_run_that_somebody_cancelled_counts_as_if_it_had_found_nothing(bench):
    """Whoever saw a run of decoys go badly could cancel it and draw new ones: it stays among the tests made."""
    north = bench.releases[0]
    waiting, begun = (bench.queued(bench.plan(further_primary=["hard"])) for _ in range(2))
    bench.ended(waiting, "cancelled")
    bench.ended(begun, "cancelled", asked=True)
    plan = bench.plan(north)
    assert (forecast(values_of(plan), plan).tests, forecast(values_of(plan), plan).factor) == (5, 5)
    row = bench.stored(bench.queued(plan), {("Northgate", "features"): 0.2}).rows.get()
    assert row.result["tests"] == 5  # its own, and two primary levels of two copies of the one that had begun
    assert row.p_corrected == pytest.approx(5 / 720)


def lost(audit: Audit) -> Audit:
    """Its worker is gone since its third attempt, which was its last."""
    Job.objects.filter(pk=audit.job_id).update(state=Job.State.RUNNING, attempt=3, heartbeat_at=LONG_AGO)
    sweeper.sweep()
    return Audit.objects.select_related("job").get(pk=audit.pk)


def test_a_stored_result_stays_though_its_worker_dies_before_the_job_ends(bench):
    """Whoever could undo a result by killing the worker would undo its place in the correction."""
    north = bench.releases[0]
    audit = lost(bench.stored(bench.queued(bench.plan(north))))
    assert (audit.state, audit.job.state) == (Audit.State.DONE, Job.State.FAILED)
    assert not LogEntry.objects.filter(verb="audit.failed", subject_id=str(audit.pk)).exists()
    assert bench.stored(bench.queued(bench.plan(north))).rows.get().result["tests"] == 2


def test_a_further_attempt_at_a_stored_result_asks_nothing(bench):
    audit = bench.stored(bench.queued(bench.plan()))
    worker.run(str(audit.job_id))
    again = Audit.objects.select_related("job").get(pk=audit.pk)
    assert (again.state, again.job.state, again.job.reason) == (Audit.State.DONE, Job.State.DONE, "")
    assert not LogEntry.objects.filter(verb="audit.started", subject_id=str(audit.pk)).exists()


def test_a_second_attempt_that_ends_later_replaces_nothing(bench):
    audit = bench.queued(bench.plan())
    other_attempt = Audit.objects.get(pk=audit.pk)
    rows = list(bench.stored(audit).rows.values_list("pk", "p"))
    assert list(bench.stored(other_attempt).rows.values_list("pk", "p")) == rows
    assert LogEntry.objects.filter(verb="audit.finished", subject_id=str(audit.pk)).count() == 1


def test_an_open_series_pays_for_its_number_whatever_other_runs_found(bench):
    north = bench.releases[0]
    bench.stored(bench.queued(bench.plan(north, series_is_open=True)))
    early, late = (bench.queued(bench.plan(north, series_is_open=True)) for _ in range(2))
    strong = {("Northgate", "features"): 0.2}
    for audit, before in ((late, 6), (early, 3)):  # the later one ends first; each shows three levels
        row = bench.stored(audit, strong).rows.get()
        assert row.p_corrected == pytest.approx((before + 1) * (before + 3 + 1) / 720)
        assert row.result["tests"] == 3
        assert "without a planned end" in row.result["levels"]["features"]["corrected"]["reason"]


def test_a_primary_level_that_cannot_be_tested_is_told_and_the_others_decide(bench):
    plan = bench.plan(further_primary=["soft"])
    audit = bench.stored(bench.queued(plan), {("Northgate", "soft"): 0.2}, unscored=("features",))
    row = audit.rows.get(release__recipient="Northgate")
    assert (row.level, row.conclusion, row.result["tests"]) == ("soft", "evidence", 2)
    assert row.result["reasons"] == [
        "Features were to decide as well, but could not be tested. It says the same to every image."
    ]
    with pytest.raises(PlanError, match="cannot be tested at a level that decides"):
        bench.stored(bench.queued(bench.plan()), unscored=("features",))


def test_what_is_logged_is_the_digest_of_what_auditors_see(bench):
    audit = bench.stored(bench.queued(bench.plan()))
    entry = LogEntry.objects.get(verb="audit.finished", subject_id=str(audit.pk))
    assert {name for name in entry.digests if name.startswith("result ")} == {
        f"result {row.release_id}" for row in audit.rows.all()
    }


def test_the_page_shows_raw_and_corrected_p_and_why(bench, world, sign_in):
    plan = bench.plan(further_primary=["hard"])
    audit = bench.stored(bench.queued(plan), {("Northgate", "hard"): 0.2})
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "at the level of features and hard labels" in page
    assert "Hard labels (decides)" in page
    assert page.count("<td>primary</td>") == 2
    assert page.count("<td>secondary</td>") == 1
    assert "Features and hard labels: Corrected by Holm’s method over 4 primary tests" in page.replace("&#x27;", "’")
    assert "A secondary level does not decide the conclusion." in page
    assert "corrected for 4 tests 0.0056" in page
    told = json.loads(json.dumps(as_json(audit, world.auditor)))["releases"][0]
    assert told["level"] == "hard"
    assert told["result"]["levels"]["hard"]["corrected"]["together"] == 4
    assert sign_in(world.auditor).get(reverse("audit_compare"), {"audit": [audit.pk]}).status_code == 200
    assert sign_in(world.auditor).get(reverse("audit_list")).status_code == 200


def test_ties_are_broken_by_the_fixed_order(bench):
    plan = bench.plan(bench.releases[0], level="hard", further_primary=["features", "soft"])
    strong = {("Northgate", level): 0.2 for level in LEVELS}
    row = bench.stored(bench.queued(plan), strong).rows.get()
    assert isinstance(row, AuditRow)
    assert np.isclose(row.p_corrected, 3 / 720)
    assert row.level == "features"
