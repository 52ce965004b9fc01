"""The headless twin: issue_report and check_log, their answers and exit codes."""

import io
import json

import pytest
from django.core.management import call_command
from django.db import connection

from audits.models import Report
from audits.report.facts import ReportFacts
from provenance import evidence_log
from provenance.models import LogEntry, Organisation
from provenance.services import log
from tests.audits.builders_reports import finished_audit

pytestmark = pytest.mark.django_db


def command(*arguments: object) -> tuple[int, dict]:
    out = io.StringIO()
    code = 0
    try:
        call_command(*map(str, arguments), "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as end:
        code = int(end.code or 0)
    return code, json.loads(out.getvalue())


def alter(statement: str, values: list) -> None:
    """What somebody with the database's password could do, behind the product's back."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_a_report_is_issued_and_written_to_a_folder(world, tmp_path):
    audit = finished_audit(world)
    code, answer = command("issue_report", audit.pk, "--as", "lena", "--here", "--out", tmp_path / "out")
    assert code == 0
    assert answer["state"] == "issued"
    facts = ReportFacts.from_json((tmp_path / "out" / f"{answer['number']}.json").read_bytes())
    assert facts.digest == answer["json_sha256"]
    assert (tmp_path / "out" / f"{answer['number']}.pdf").read_bytes().startswith(b"%PDF-1.7")


def test_somebody_who_may_not_issue_is_refused(world):
    code, answer = command("issue_report", finished_audit(world).pk, "--as", "adam", "--here")
    assert code == 1
    assert "legal" in answer["error"]
    assert not Report.objects.exists()


def test_an_audit_that_one_may_not_see_does_not_exist(world):
    code, answer = command("issue_report", finished_audit(world).pk, "--as", "otto", "--here")
    assert code == 1
    assert "No such audit" in answer["error"]


def test_an_intact_log_ends_with_zero(world):
    finished_audit(world)
    code, answer = command("check_log")
    assert code == 0
    assert answer["intact"]
    assert {each["organisation"] for each in answer["organisations"]} == {o.name for o in Organisation.objects.all()}


COLUMNS = {
    "at": "'2001-01-01 00:00:00+00:00'",
    "actor_id": "NULL",
    "actor_name": "'Nobody'",
    "verb": "'release.other'",
    "subject_type": "'other'",
    "subject_id": "'1'",
    "subject_label": "'Other'",
    "digests": '\'{"root": "00"}\'',
    "details": "'{\"a\": 1}'",
    "previous": f"'{'0' * 63}1'",
    "hash": f"'{'0' * 63}1'",
}


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_altering_any_column_of_one_row_is_detected_and_located(world, column):
    finished_audit(world)
    row = LogEntry.objects.get(organisation=world.owner, seq=4)
    alter(f"UPDATE provenance_logentry SET {column} = {COLUMNS[column]} WHERE id = %s", [row.pk])  # noqa: S608
    code, answer = command("check_log", "--organisation", world.owner.name)
    assert code == 1
    assert [(f["row"], f["kind"]) for f in answer["organisations"][0]["faults"]] == [(4, "altered")]


def test_every_column_of_a_row_is_tried():
    fixed = {"id", "organisation_id", "seq"}
    assert {field.column for field in LogEntry._meta.fields} - fixed == set(COLUMNS)


def test_a_deleted_row_and_a_cut_off_end_are_located(world):
    finished_audit(world)
    last = world.owner.log.order_by("-seq").first().seq
    alter("DELETE FROM provenance_logentry WHERE organisation_id = %s AND seq IN (2, %s)", [_key(world.owner), last])
    _, answer = command("check_log", "--organisation", world.owner.name)
    assert [(f["row"], f["kind"]) for f in answer["organisations"][0]["faults"]] == [(2, "missing"), (last, "missing")]


def test_two_rows_that_change_places_are_located(world):
    finished_audit(world)
    for before, after in ((2, 1002), (3, 2), (1002, 3)):
        alter(
            "UPDATE provenance_logentry SET seq = %s WHERE organisation_id = %s AND seq = %s",
            [after, _key(world.owner), before],
        )
    _, answer = command("check_log", "--organisation", world.owner.name)
    assert {f["row"] for f in answer["organisations"][0]["faults"]} == {2, 3}


def test_a_row_moved_to_another_organisation_is_located_in_both(world):
    finished_audit(world)
    row = LogEntry.objects.get(organisation=world.owner, seq=3)
    alter("UPDATE provenance_logentry SET organisation_id = %s WHERE id = %s", [_key(world.laboratory), row.pk])
    _, answer = command("check_log")
    faults = {each["organisation"]: each["faults"] for each in answer["organisations"]}
    assert [f["row"] for f in faults[world.owner.name]] == [3]
    assert faults[world.laboratory.name]


def test_a_log_written_anew_contradicts_an_issued_report(world):
    command("issue_report", finished_audit(world).pk, "--as", "lena", "--here")
    head = ReportFacts.from_json(Report.objects.get().json.open("rb").read()).logs[0]
    _rewrite_all(world.owner)
    assert log.check(world.owner).intact, "the chain and its head agree with each other"
    code, answer = command("check_log", "--organisation", world.owner.name)
    assert code == 1
    assert [f["row"] for f in answer["organisations"][0]["faults"]] == [head.head_seq]
    # The same with nothing but the printed hash, after our own copy of the report is gone too.
    alter("UPDATE audits_report SET state = 'failed'", [])
    assert command("check_log", "--organisation", world.owner.name)[0] == 0
    printed = f"{head.head_seq}:{head.head}"
    assert command("check_log", "--organisation", world.owner.name, "--published", printed)[0] == 1


def test_wrong_usage_is_refused_with_a_sentence(world):
    assert "organisation" in command("check_log", "--published", "1:ab")[1]["error"]
    assert "digits" in command("check_log", "--organisation", world.owner.name, "--published", "1:ab")[1]["error"]
    assert "no organisation" in command("check_log", "--organisation", "Nobody")[1]["error"]


def test_people_read_the_located_rows_too(world):
    finished_audit(world)
    row = LogEntry.objects.get(organisation=world.owner, seq=2)
    alter("UPDATE provenance_logentry SET verb = 'key.other' WHERE id = %s", [row.pk])
    out = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("check_log", stdout=out)
    assert end.value.code == 1
    assert "Row 2 (key.other) was altered" in out.getvalue()


def _key(organisation: Organisation) -> str:
    """A UUID as the database stores it."""
    return organisation.pk.hex if connection.vendor == "sqlite" else str(organisation.pk)


def _rewrite_all(organisation: Organisation) -> None:
    """A forger with all of the database: one row changed, every hash after it made anew, the kept head as well."""
    previous = evidence_log.GENESIS
    for row in LogEntry.objects.filter(organisation=organisation).order_by("seq"):
        row.previous = previous
        row.actor_name = "Somebody Else" if row.seq == 2 else row.actor_name
        previous = evidence_log.entry_hash(log.core_entry(row))
        alter(
            "UPDATE provenance_logentry SET previous = %s, actor_name = %s, hash = %s WHERE id = %s",
            [row.previous, row.actor_name, previous, row.pk],
        )
    alter("UPDATE provenance_organisation SET log_head = %s WHERE id = %s", [previous, _key(organisation)])
