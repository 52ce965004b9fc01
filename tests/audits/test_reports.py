"""Reports in the product: issued once, stored with digests, logged, handed out unchanged, seen by the right people."""

import hashlib
import io
import json
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.template.loader import render_to_string
from django.urls import reverse
from pypdf import PdfReader

from audits.models import Audit, RegisteredModel, Report
from audits.report.facts import ReportFacts
from audits.services.models.identity import recognise
from audits.services.reports import issued, issuing
from audits.services.reports.issuing import ReportError
from audits.services.results.other_tests import told_of
from provenance.models import Job, LogEntry
from provenance.services.jobs import queue, worker
from tests.audits import builders_calibrations
from tests.audits.builders_combined import combined_audit
from tests.audits.builders_reports import GROUPS, finished_audit, model

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@pytest.fixture
def issue(world, django_capture_on_commit_callbacks):
    """issue(audit) asks as legal, lets the job run, and answers the report."""

    def run(audit: Audit, by=None) -> Report:
        with django_capture_on_commit_callbacks(execute=True):
            report = issuing.issue(audit, by=by or world.legal)
        report.refresh_from_db()
        return report

    return run


def bytes_of(field) -> bytes:
    with field.open("rb") as stream:
        return stream.read()


def words(pdf: bytes) -> str:
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return re.sub(r"\s+", " ", text.replace("\u200b", ""))


def test_a_finished_audit_becomes_a_pdf_and_its_facts(world, issue):
    audit = finished_audit(world)
    report = issue(audit)
    assert report.state == Report.State.ISSUED
    pdf, data = bytes_of(report.pdf), bytes_of(report.json)
    assert hashlib.sha256(pdf).hexdigest() == report.pdf_sha256
    assert hashlib.sha256(data).hexdigest() == report.json_sha256
    text = words(pdf)
    assert report.number in text
    assert audit.sentence in text
    assert report.json_sha256 in text.replace(" ", "")
    facts = ReportFacts.from_json(data)
    assert facts.result.conclusion == "evidence"
    assert facts.dataset.root == audit.plan.version.root
    assert facts.plan.digest == audit.plan.digest
    assert facts.suspect.digest == audit.plan.suspect.sha256
    assert {row.level for row in facts.result.rows} == {"features", "soft", "hard"}
    assert facts.run.earlier_runs == 0


def test_the_facts_hold_no_way_to_the_assignment(world, issue):
    audit = finished_audit(world)
    facts = ReportFacts.from_json(bytes_of(issue(audit).json))
    assert [(score.level, score.pattern) for score in facts.scores] == [
        ("features", "mean"),
        ("soft", "mean"),
        ("hard", "mean"),
    ]
    stored = audit.rows.get().result
    outer = json.loads(facts.to_json())
    assert "assignment" not in json.dumps(outer["facts"]["scores"]) + json.dumps(outer["facts"]["histograms"])
    gains = [scores["gain"] for scores in stored["levels"]["features"]["densities"]]
    assert facts.scores[0].density_gain == pytest.approx(sum(gains) / len(GROUPS))


def test_the_origin_of_every_model_stands_in_both_files(world, issue):
    """As the form promises; also of what nobody said anything about."""
    audit = finished_audit(world)
    said = {"suspect-1": "from the makers' page, May 2026", "reference-1": "trained by ourselves", "reference-2": ""}
    for name, origin in said.items():
        RegisteredModel.objects.filter(name=name).update(origin=origin)
    report = issue(Audit.objects.get(pk=audit.pk))
    facts, text = issued.facts_of(report), words(bytes_of(report.pdf))
    assert facts.suspect.origin == said["suspect-1"]
    assert {ref.name: ref.origin for ref in facts.references} == {n: o for n, o in said.items() if n != "suspect-1"}
    assert "Origin from the makers' page, May 2026" in text
    assert "trained by ourselves" in text
    assert "not stated" in text


def test_other_names_of_the_suspect_stand_in_the_report_and_no_other_organisations(world, issue):
    audit = finished_audit(world)
    tensors = {"tensors": "ab" * 32, "geometries": {}, "labels": []}
    again = model(world.owner, world.auditor, "under another name")
    theirs = model(world.laboratory, world.guest_auditor, "suspect-1")
    for made in (audit.plan.suspect, again, theirs):
        made.identity = tensors
        made.save()
        recognise(made)
    report = issue(Audit.objects.get(pk=audit.pk))
    facts, text = issued.facts_of(report), words(bytes_of(report.pdf))
    assert (facts.suspect.tensors, facts.suspect.also_registered) == ("ab" * 32, ("under another name",))
    assert facts.suspect.registered_elsewhere == 1
    assert "as “under another name”, 1 time by another organisation; all count as one suspect" in text
    assert world.laboratory.name not in text


def test_issuing_stands_in_the_log_with_both_digests(world, issue):
    report = issue(finished_audit(world))
    entry = LogEntry.objects.about(report).get()
    assert entry.verb == "report.issued"
    assert entry.digests == {"pdf": report.pdf_sha256, "json": report.json_sha256}
    assert entry.actor == world.legal


def test_a_guests_audit_stands_in_both_logs(world, issue):
    audit = finished_audit(world, auditor=world.guest_auditor)
    report = issue(audit)
    facts = issued.facts_of(report)
    assert [extract.organisation for extract in facts.logs] == [world.laboratory.name, world.owner.name]
    assert all(extract.intact and extract.lines for extract in facts.logs)
    assert LogEntry.objects.about(report).count() == 2
    assert [party.organisation for party in facts.parties] == [world.owner.name, world.laboratory.name]


def test_no_evidence_and_several_releases(world, issue):
    audit = finished_audit(world, recipients=("Northgate", "Southgate", "Westgate"), strength=0.0)
    report = issue(audit)
    text = words(bytes_of(report.pdf))
    assert "No evidence of dependence" in text
    for recipient in ("Northgate", "Southgate", "Westgate"):
        assert recipient in text


def test_two_mark_sets_levels_that_decide_and_other_tests_are_reported(world, issue):
    audit = combined_audit(world)
    assert "assignment" in audit.rows.first().result["sets"][0]
    report = issue(audit)
    facts = issued.facts_of(report)
    rows = {(row.release, row.level, row.set): row for row in facts.result.rows}
    assert len(rows) == 2 * 3 * 3
    whole, single = rows["Release 1", "features", None], rows["Release 1", "features", 1]
    assert (whole.test, whole.combined, whole.primary) == ("combined", 2, True)
    assert (single.test, single.groups, single.exact, single.permutations) == ("permutation", 6, True, 36)
    assert (single.corrected, single.conclusion, single.primary) == (None, None, False)
    assert [rows["Release 1", level, None].primary for level in ("features", "soft", "hard")] == [True, True, False]
    stored = audit.rows.get(release__recipient="Northgate")
    for level, found in stored.result["levels"].items():
        row = rows["Release 1", level, None]
        assert (row.p_without, row.p_with) == (found["p_without"], found["p_with"])
        assert row.corrected == found["corrected"]["p"] >= found["p"]
        assert row.reason == found["corrected"]["reason"]
        assert bool(row.conclusion) == (level == stored.level)
    assert facts.result.p_corrected == stored.p_corrected
    (restriction,) = facts.releases[0].restrictions
    assert (restriction.set, restriction.classes, restriction.possible) == (1, 2, 36)
    assert facts.plan.primary_levels == ("features", "soft")
    assert facts.plan.held_out.root == audit.plan.held_out.root
    assert facts.plan.series_is_open
    assert [(other.release, other.set, other.test) for other in facts.other_tests[:2]] == [
        ("Release 1", 1, "paired t-test"),
        ("Release 1", 1, "Wilcoxon signed-rank, labels, middle pattern"),
    ]
    assert facts.other_tests_left_out == ("view consistency: The plan has no reference that returns features.",)
    assert facts.calibration is None
    assert {control.set for control in facts.controls} == {None, 1, 2}
    text = words(bytes_of(report.pdf))
    assert "2 mark sets with secrets of their own, combined" in text
    assert "Release 1, mark set 1: patterns were exchanged only within 2 classes of groups" in text
    assert "Never released, version 1" in text
    data = bytes_of(report.json).decode()
    assert "shuffle" not in data
    assert '"assignment":' not in data


def test_an_old_audit_is_reported_without_what_it_never_asked(world, issue):
    audit = finished_audit(world)
    assert not {"verifiers", "primary_levels", "decided_by"} & set(audit.rows.get().result)
    facts = issued.facts_of(issue(audit))
    assert facts.other_tests == facts.other_tests_left_out == ()
    assert [row.primary for row in facts.result.rows] == [True, False, False]
    assert [row.corrected is not None for row in facts.result.rows] == [True, False, False]


def test_the_calibration_of_the_code_stands_in_the_report_and_beside_other_tests(world, issue):
    audit = combined_audit(world)
    calibration = builders_calibrations.finished(world)
    facts = issued.facts_of(issue(audit))
    assert facts.calibration.id == str(calibration.pk)
    assert facts.calibration.rows
    rates = {(other.set, other.test): other.innocent for other in facts.other_tests}
    assert rates[1, "paired t-test"].alpha == 0.05
    row = audit.rows.first()
    page = render_to_string("audits/other_tests.html", {"other_tests": told_of(row)})
    assert "Innocent models accused at 0.05" in page


@pytest.mark.parametrize("who", ["rights_holder", "auditor", "administrator", "guest_auditor", "outsider"])
def test_only_legal_staff_may_issue(world, who):
    with pytest.raises(PermissionDenied, match="legal"):
        issuing.issue(finished_audit(world), by=getattr(world, who))
    assert not Report.objects.exists()


def test_an_unfinished_audit_cannot_be_reported(world):
    audit = finished_audit(world)
    Audit.objects.update(state="running")
    with pytest.raises(ReportError, match="finished"):
        issuing.issue(audit, by=world.legal)


def test_asking_twice_gives_one_report_while_it_is_being_written(world):
    audit = finished_audit(world)
    assert issuing.issue(audit, by=world.legal) == issuing.issue(audit, by=world.legal)


def test_a_killed_attempt_is_taken_up_again_without_a_second_report(world):
    report = issuing.issue(finished_audit(world), by=world.legal)
    assert report.job_id
    Job.objects.filter(pk=report.job_id).update(state="queued", attempt=1)
    default_storage.save("reports/left-over.pdf", ContentFile(b"half a file"))
    worker.run(str(report.job_id))
    Job.objects.filter(pk=report.job_id).update(state="queued")
    worker.run(str(report.job_id))
    assert Job.objects.get(pk=report.job_id).state == "done"
    assert LogEntry.objects.about(report).count() == 1


def test_a_failed_job_is_seen_on_the_report_and_retried(world, sign_in):
    audit = finished_audit(world)
    report = issuing.issue(audit, by=world.legal)
    good = audit.rows.get().result
    audit.rows.update(result={})
    worker.run(str(report.job_id))
    report.refresh_from_db()
    assert report.state == Report.State.FAILED
    shown = sign_in(world.legal).get(reverse("report_detail", kwargs={"pk": report.pk})).content.decode()
    assert "A stored result cannot be read" in shown
    audit.rows.update(result=good)
    assert report.job
    queue.retry(report.job, by=world.legal)
    worker.run(str(report.job_id))
    report.refresh_from_db()
    assert report.state == Report.State.ISSUED


@pytest.mark.parametrize("kind", ["pdf", "json"])
def test_what_is_downloaded_is_what_was_issued(world, issue, sign_in, kind):
    report = issue(finished_audit(world))
    for who in ("legal", "rights_holder", "auditor"):
        response = sign_in(getattr(world, who)).get(reverse(f"report_{kind}", kwargs={"pk": report.pk}))
        assert response.content == bytes_of(getattr(report, kind))
        assert f"{report.number}.{kind}" in response["Content-Disposition"]
    assert LogEntry.objects.filter(verb="report.downloaded").count() == 3


def test_an_altered_file_is_not_handed_out(world, issue, sign_in):
    report = issue(finished_audit(world))
    with default_storage.open(report.pdf.name, "r+b") as stream:
        stream.seek(1000)
        stream.write(b"X")
    client = sign_in(world.legal)
    response = client.get(reverse("report_pdf", kwargs={"pk": report.pk}), follow=True)
    assert "it was altered" in response.content.decode()
    assert not LogEntry.objects.filter(verb="report.downloaded").exists()


def test_the_page_shows_the_digests_and_the_issue(world, issue, sign_in):
    report = issue(finished_audit(world))
    shown = sign_in(world.auditor).get(reverse("report_detail", kwargs={"pk": report.pk})).content.decode()
    for text in (report.number, report.pdf_sha256, report.json_sha256, "Download the PDF", "Report issued"):
        assert text in shown


def test_the_list_is_searched_by_number_dataset_suspect_and_recipient(world, issue, sign_in):
    report = issue(finished_audit(world, recipients=("Northgate", "Southgate")))
    client = sign_in(world.legal)

    def shown(text):
        return client.get(reverse("report_list"), {"q": text}).content.decode().count(f">{report.number}<")

    for text in (report.number[-8:].lower(), "meadow", "suspect-1", "southgate", ""):
        assert shown(text) == 1
    assert shown("nothing of the kind") == 0
    assert report.number not in sign_in(world.outsider).get(reverse("report_list")).content.decode()


def test_the_button_stands_where_it_may_be_used(world, sign_in):
    audit = finished_audit(world)

    def page(user):
        return sign_in(user).get(reverse("audit_detail", kwargs={"pk": audit.pk})).content.decode()

    assert "Issue a report" in page(world.legal)
    assert "Issue a report" not in page(world.auditor)
    assert "Legal staff" in page(world.auditor)
