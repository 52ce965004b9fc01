"""What people see of a result: all of it, or without any way to derive the secret assignment."""

import json
import uuid

import pytest
from django.urls import reverse

from audits.models import Audit, Plan
from audits.services.results.visible import visible_result
from tests.audits.builders_reports import GROUPS, assignment, finished_audit

pytestmark = pytest.mark.django_db


@pytest.fixture
def audit(world):
    return finished_audit(world, recipients=("Northgate", "Southbank"))


def strings_in(value):
    if isinstance(value, dict):
        return set(value) | {s for item in value.values() for s in strings_in(item)}
    if isinstance(value, list):
        return {s for item in value for s in strings_in(item)}
    return {value} if isinstance(value, str) else set()


def test_a_rights_holder_sees_the_assignment_and_an_auditor_does_not(world, audit, sign_in):
    row = audit.rows.first()
    full = row.as_stored(visible_result(row, world.rights_holder))
    assert full["assignment"] == assignment().tolist()
    assert full["group_names"] == GROUPS
    for person in (world.auditor, world.legal):
        shown = row.as_stored(visible_result(row, person))
        assert not {"assignment", "shuffle", "groups"} & strings_in(shown)
        assert not set(GROUPS) & strings_in(shown)
        assert not {"pulls", "densities"} & strings_in(shown["levels"])
    body = sign_in(world.auditor).get(reverse("audit_json", args=[audit.pk])).content.decode()
    for entry in json.loads(body)["releases"]:
        assert not {"assignment", "shuffle", "groups"} & strings_in(entry)


def test_of_patterns_an_auditor_sees_means_alone(audit, world):
    row = audit.rows.first()
    shown = visible_result(row, world.auditor)
    for name, level in row.found.levels.items():
        for score in ("gain", "divergence", "displacement", "coherence", "pull"):
            mean = sum(getattr(scores, score) for scores in level.densities) / len(GROUPS)
            assert getattr(shown.levels[name].means, score) == pytest.approx(mean)


def test_the_page_shows_the_sentence_the_numbers_and_every_chart_as_a_table(world, audit, sign_in):
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "Evidence that the responses of “suspect-1” depend on the secret key" in page
    assert "infring" not in page.lower()
    assert "corrected for 2 tests" in page
    assert "the smallest p this plan could reach is 0.0014" in page
    for heading in ("Releases", "Pull of each pattern to each group", "Density scores", "Controls", "Log of the run"):
        assert heading in page
    assert page.count("Show the numbers") == 1
    assert "Only rights-holders of the owner see these numbers" in page
    assert "Means over all patterns" in page
    assert "Pattern A" not in page
    assert "Pattern 1" not in page
    assert not any(f">{group}<" in page or f'"{group}"' in page for group in GROUPS)
    owner = sign_in(world.rights_holder).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert all(f'"{group}"' in owner for group in GROUPS)
    assert "outlined cells are the true assignment" in owner
    assert "Pattern 1" in owner


def test_controls_are_explained_where_they_stand(world, audit, sign_in):
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    row = min(audit.rows.all(), key=lambda row: (row.p_corrected, row.p))
    controls = row.found.decision.controls
    small = sum(control.p <= 0.05 for control in controls)
    assert f"{small or 'None'} of {len(controls)} controls" in page
    assert f"up to {0.05 * len(controls):.2g} such on average" in page
    assert page.count("(small)") == small


def test_runs_of_another_organisation_are_counted_and_not_shown(world, audit, sign_in):
    """An auditor from elsewhere, who has the same weights, learns that there were runs, not whose or how they ended."""
    plan = Plan.objects.get(pk=audit.plan_id)
    releases = list(plan.releases.all())
    plan.pk, plan.organisation, plan.name = uuid.uuid4(), world.laboratory, "their plan"
    plan._state.adding = True
    plan.save()
    plan.releases.set(releases)
    theirs = Audit.objects.create(plan=plan, created_by=world.guest_auditor)
    page = sign_in(world.guest_auditor).get(reverse("audit_detail", args=[theirs.pk])).content.decode()
    assert "1 earlier run of another organisation" in page
    assert audit.plan.name not in page
    assert str(audit.pk) not in page
    owner = sign_in(world.auditor).get(reverse("audit_detail", args=[theirs.pk])).content.decode()
    assert audit.plan.name in owner
    assert "of another organisation" not in owner


def test_levels_and_releases_can_be_chosen(world, audit, sign_in):
    browser, url = sign_in(world.auditor), reverse("audit_detail", args=[audit.pk])
    other = audit.rows.get(release__recipient="Southbank")
    page = browser.get(url, {"release": other.release_id, "level": "hard"}).content.decode()
    assert "Copy for Southbank" in page
    assert browser.get(url, {"release": "nonsense", "level": "nonsense"}).status_code == 200


def test_audits_are_found_by_words_and_compared(world, audit, sign_in):
    browser = sign_in(world.auditor)
    assert "Was it Northgate?" in browser.get(reverse("audit_list"), {"q": "southbank"}).content.decode()
    assert "Nothing found" in browser.get(reverse("audit_list"), {"q": "zebra"}).content.decode()
    assert "Nothing found" in browser.get(reverse("audit_list"), {"conclusion": "inconclusive"}).content.decode()
    page = browser.get(reverse("audit_compare"), {"audit": [audit.pk]}).content.decode()
    assert "Northgate" in page
    assert "Southbank" in page
    assert sign_in(world.outsider).get(reverse("audit_compare"), {"audit": [audit.pk]}).status_code == 404


def test_a_failed_run_shows_its_reason(world, audit, sign_in):
    audit.rows.all().delete()
    Audit.objects.filter(pk=audit.pk).update(state="failed", conclusion="", sentence="")
    audit.job.state, audit.job.reason = "failed", "The model needs more memory than it may have."
    audit.job.subject_id = str(audit.pk)
    audit.job.save()
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "The model needs more memory than it may have." in page
    assert "Run again" in page
