"""“No evidence” only where the plan could have found some, once its smallest p is corrected for all tests made."""

from __future__ import annotations

import pytest
from django.urls import reverse

from audits.services.plans.forecasts import forecast
from audits.services.plans.values import values_of
from audits.services.reports.results import Tested, result_facts
from audits.statistics.corrections import Finding, correct, corrected_if
from tests.audits.builders_verdicts import Bench

pytestmark = pytest.mark.django_db

LEAST = 1 / 720  # of six groups


@pytest.fixture
def bench(world) -> Bench:
    return Bench(world)


def found(bench: Bench, *, strengths=None, **plan):
    return bench.stored(bench.queued(bench.plan(bench.releases[0], **plan)), strengths).rows.get()


def test_a_plan_that_could_reach_alpha_finds_no_evidence(bench):
    row = found(bench, alpha=1.5 * LEAST)
    assert row.conclusion == "no_evidence"
    assert row.found.decision.corrected.smallest_p == pytest.approx(LEAST)


def test_one_whose_corrected_smallest_p_lies_above_alpha_is_inconclusive(bench, world, sign_in):
    """The forecast says that it cannot reach alpha; so it cannot say afterwards that there was nothing to find."""
    alpha = 1.5 * LEAST
    row = found(bench, alpha=alpha, further_primary=["soft"])
    assert not forecast(values_of(row.audit.plan), row.audit.plan).reaches_alpha
    assert row.smallest_p < alpha < row.found.decision.corrected.smallest_p == pytest.approx(2 * LEAST)
    assert row.conclusion == row.audit.conclusion == "inconclusive"
    assert row.found.reasons == (
        "The plan could not reach alpha: its smallest reachable p lies above it once corrected for all tests made.",
    )
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[row.audit_id])).content.decode()
    assert "the smallest p this plan could reach is 0.0014, corrected 0.0028" in page
    told = result_facts(row.audit, [Tested.of(row, "Release 1")])
    assert told.smallest_corrected_p == pytest.approx(2 * LEAST)
    assert told.conclusion == "inconclusive"


def test_an_open_series_counts_its_price_in_what_it_could_reach(bench):
    """Three p-values are shown by each run, so the price is 1 x 4 of the first and 4 x 7 of the second."""
    row = found(bench, alpha=1.5 * LEAST, series_is_open=True)
    assert row.conclusion == "inconclusive"
    assert row.found.decision.corrected.smallest_p == pytest.approx(4 * LEAST)
    row = found(bench, alpha=29 * LEAST, series_is_open=True)
    assert row.found.decision.corrected.smallest_p == pytest.approx(28 * LEAST)
    assert row.conclusion == "no_evidence"


def test_untested_copies_count_in_what_a_plan_could_reach(bench):
    row = found(bench, alpha=1.5 * LEAST, recipient_at_issue=False)
    assert row.found.decision.corrected.smallest_p == pytest.approx(2 * LEAST)
    assert row.conclusion == "inconclusive"
    assert "once corrected for all tests made" in row.found.reasons[0]


def test_an_exploratory_run_says_no_small_p_only_where_it_could_have_found_one(bench):
    conclusions = {found(bench, alpha=alpha, exploratory=True).conclusion for alpha in (0.5 * LEAST, 1.5 * LEAST)}
    assert conclusions == {"inconclusive"}
    assert found(bench, alpha=3.5 * LEAST, exploratory=True).conclusion == "exploratory_no_small_p"


def test_earlier_runs_count_in_what_a_plan_could_reach(bench):
    found(bench, alpha=1.5 * LEAST)
    assert found(bench, alpha=1.5 * LEAST).conclusion == "inconclusive"


def test_evidence_is_never_called_out_of_reach(bench):
    """Holm's method multiplies by fewer where others are smaller, so what was reached could be."""
    tests = [Finding("a", "soft", 1, 1e-6), Finding("b", "soft", 1, 0.006)]
    corrected = correct(tests)[1].corrected
    assert corrected == pytest.approx(0.006)
    assert corrected_if(tests, 1, 0.006) == corrected
    assert corrected_if(tests, 1, 0.004) <= corrected
    assert corrected_if([Finding("a", "soft", 1, 0.5), tests[1]], 1, 0.006) == pytest.approx(0.012)
    row = found(bench, strengths={("Northgate", "features"): 0.2}, alpha=LEAST)
    assert row.conclusion == "evidence"
