"""Calibration as people meet it: started by the right ones, resumed after a kill, told on pages and by the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from audits.calibration import CalibrationTable
from audits.calibration.rounds import CalibrationError
from audits.calibration.table import make_row
from audits.models import Calibration
from audits.services.calibrations import starting
from audits.services.calibrations.charts import qq_plot
from audits.services.calibrations.job import run_calibration
from audits.services.calibrations.notes import facts_for, note_for, sentence
from provenance.marks import MarkSets, MarkSettings
from provenance.models import Job, LogEntry
from provenance.services.jobs import queue, worker
from provenance.services.jobs.running import JobRun
from tests.audits.builders_calibrations import TINY, finished
from tests.audits.builders_reports import GROUPS, finished_audit, model, started_audit
from tests.audits.builders_runs import register, untrained
from tests.audits.builders_trainings import scenes_version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    """What null models learned is tested where they are built; here they need only differ."""
    monkeypatch.setattr("audits.calibration.null_models.TRAINING_STEPS", 3)


def started(world, wanted=TINY):
    return starting.start(world.owner, wanted, by=world.auditor)


def worked_off(calibration):
    worker.run(str(calibration.job.pk))
    calibration.refresh_from_db()
    return calibration


@pytest.mark.suspect
def test_a_calibration_ends_with_a_table_of_every_family_test_and_level(world):
    calibration = started(world)
    calibration.refresh_from_db()
    assert calibration.state == Calibration.State.DONE, calibration.job.reason
    table = starting.table_of(calibration)
    assert {row.family for row in table.rows} == {"patch", "warp"}
    assert {row.level for row in table.rows if row.exact} == {"features", "soft", "hard"}
    assert all(row.pairs == 5 for row in table.rows if row.exact)
    assert {row.test for row in table.rows if not row.exact} >= {"paired t-test", "GMM log-likelihood"}
    assert table.made_with["code_version"] == calibration.code_version
    assert calibration.holds == table.holds
    assert calibration.seconds > 0
    assert Calibration.objects.finished().first() == calibration
    assert starting.is_current(calibration)
    verbs = LogEntry.objects.filter(subject_id=str(calibration.pk)).values_list("verb", flat=True)
    assert set(verbs) == {"calibration.started", "calibration.finished"}


@pytest.mark.suspect
def test_the_largest_seed_that_can_be_drawn_or_asked_for_calibrates(world, no_worker):
    wanted = replace(TINY, families=("blend",), pairs=2, seed=starting.SEEDS - 1)
    calibration = worked_off(started(world, wanted))
    assert calibration.state == Calibration.State.DONE, calibration.job.reason


@pytest.mark.suspect
def test_a_run_that_is_killed_between_rounds_goes_on_with_the_next_and_gives_the_same_table(world, no_worker):
    class Killed(BaseException):
        """As if the process were gone: nothing in between may catch it."""

    class Run(JobRun):
        def progress(self, done, total, phase=""):
            if phase.startswith("warp"):
                raise Killed
            super().progress(done, total, phase)

    calibration = started(world)
    job = Job.objects.get(pk=calibration.job.pk)
    Job.objects.filter(pk=job.pk).update(state=Job.State.RUNNING, attempt=1)
    job.refresh_from_db()
    with pytest.raises(Killed):
        run_calibration(Run(job))
    kept = calibration.folder / "round-patch-000.json"
    before = kept.stat().st_mtime_ns
    assert not (calibration.folder / "round-warp-000.json").exists()
    (calibration.folder / "round-warp-000.part").write_text("half a ro")
    Job.objects.filter(pk=job.pk).update(state=Job.State.QUEUED)
    assert worked_off(calibration).state == Calibration.State.DONE
    assert kept.stat().st_mtime_ns == before
    whole = worked_off(started(world))
    assert starting.table_of(whole).rows == starting.table_of(calibration).rows


@pytest.mark.suspect
def test_a_cancelled_calibration_says_so_and_may_go_on(world, no_worker, monkeypatch):
    monkeypatch.setattr("provenance.services.jobs.running.PROGRESS_SECONDS", 0.0)
    calibration = started(world, replace(TINY, families=("blend",)))
    Job.objects.filter(pk=calibration.job.pk).update(cancel_requested=True)
    assert worked_off(calibration).state == Calibration.State.CANCELLED
    assert LogEntry.objects.filter(verb="calibration.cancelled").exists()
    queue.retry(calibration.job, by=world.auditor)
    assert worked_off(calibration).state == Calibration.State.DONE


def test_code_that_changed_in_between_is_refused(world, no_worker):
    calibration = started(world)
    Calibration.objects.filter(pk=calibration.pk).update(code_version="0.0.1 (sources 000000000000)")
    assert worked_off(calibration).state == Calibration.State.FAILED
    assert "code was changed" in Job.objects.get(pk=calibration.job.pk).reason


@pytest.mark.suspect
def test_images_of_a_version_serve_and_so_do_versions_without_classes(world, no_worker):
    version = scenes_version(world, 220)
    wanted = replace(TINY, families=("spectral",), version=version)
    assert worked_off(started(world, wanted)).state == Calibration.State.DONE
    lines = version.manifest_folder / "manifest.jsonl"
    assert b'"label"' in lines.read_bytes()  # it has classes; twelve groups of them would be too many
    many = replace(wanted, bench=replace(TINY.bench, groups=12, per_group=2), pairs=2)
    assert worked_off(started(world, many)).state == Calibration.State.DONE


@pytest.mark.suspect
def test_a_registered_reference_is_asked_in_its_confined_process_and_joins_the_null_models(world, no_worker):
    reference = register(world, "Features alone", untrained(4), "reference")
    reference.spec |= {"returns": ["features"]}
    reference.save()
    calibration = started(world, replace(TINY, families=("blend",), references=[reference]))
    assert worked_off(calibration).state == Calibration.State.DONE, Job.objects.get(pk=calibration.job.pk).reason
    assert starting.table_of(calibration).made_with["models"]["registered reference"] == 1


@pytest.mark.parametrize("who", ["rights_holder", "legal", "guest_auditor", "outsider"])
def test_only_auditors_and_administrators_of_the_organisation_calibrate(world, who):
    with pytest.raises(PermissionDenied):
        starting.start(world.owner, TINY, by=getattr(world, who))
    assert not Calibration.objects.exists()


def test_an_administrator_calibrates_without_seeing_data(world, no_worker):
    assert starting.start(world.owner, TINY, by=world.administrator).state == Calibration.State.QUEUED
    version = scenes_version(world, 220)
    with pytest.raises(CalibrationError, match="not open to you"):
        starting.start(world.owner, replace(TINY, version=version), by=world.administrator)
    reference = model(world.owner, world.auditor, "reference", "reference")
    reference.connection = {"images_per_second": 10.0}
    reference.save()
    with pytest.raises(CalibrationError, match="reference"):
        starting.start(world.owner, replace(TINY, references=[reference]), by=world.administrator)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"families": ()}, "at least one"),
        ({"families": ("patch", "patch")}, "each once"),
        ({"families": ("stamp",)}, "no mark family"),
        ({"rounds": 0}, "rounds"),
        ({"models": 1}, "null models"),
        ({"pairs": 0}, "pairs"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(world, changes, message):
    with pytest.raises(CalibrationError, match=message):
        started(world, replace(TINY, **changes))


def test_a_reference_that_was_never_connected_is_refused(world):
    reference = model(world.owner, world.auditor, "reference", "reference")
    with pytest.raises(CalibrationError, match="connected"):
        started(world, replace(TINY, references=[reference]))


def test_the_cost_grows_with_what_is_asked_and_learns_from_what_was_done(world):
    once, twice = starting.cost(TINY), starting.cost(replace(TINY, rounds=2))
    assert (twice.passes, twice.models) == (2 * once.passes, 2 * once.models)
    assert twice.seconds > once.seconds
    assert not once.measured
    done = finished(world)
    Calibration.objects.filter(pk=done.pk).update(seconds=10 * done.seconds)
    slow = starting.cost(TINY)
    assert slow.measured
    Calibration.objects.filter(pk=done.pk).update(seconds=done.seconds)
    assert slow.seconds == pytest.approx(10 * starting.cost(TINY).seconds)


def test_an_audits_note_shows_the_rows_of_its_own_test(world):
    audit = finished_audit(world)
    assert facts_for(audit) is None
    calibration = finished(world)
    facts = facts_for(audit)
    assert facts["same_code"]
    assert facts["holds"]
    assert facts["pairs"] == 2_000
    assert {(row["family"], row["test"]) for row in facts["rows"]} == {("patch", "assignment")}
    assert len(facts["rows"]) == 6  # three levels, with and without references
    assert {row["test"] for row in facts["others"]} == {"paired t-test", "view consistency"}
    assert json.loads(json.dumps(facts)) == facts
    assert note_for(audit, world.auditor)["calibration"] == calibration
    assert note_for(audit, world.outsider)["calibration"] is None


def test_a_note_costs_few_queries_whatever_the_size_of_the_table(world, django_assert_max_num_queries):
    audit = finished_audit(world)
    finished(world)
    with django_assert_max_num_queries(8):
        note_for(audit, world.auditor)


def test_an_audit_is_told_of_the_calibration_that_fits_it_best(world):
    audit = finished_audit(world)
    old = finished(world, code="0.0.1 (sources 000000000000)")
    assert not facts_for(audit)["same_code"]
    finished(world, families=("warp",))  # newer, of the running code, of no use
    assert facts_for(audit)["id"] == str(old.pk)
    elsewhere = finished(world, organisation=world.elsewhere, by=world.outsider)
    assert facts_for(audit)["id"] == str(elsewhere.pk)
    assert note_for(audit, world.auditor)["calibration"] is None
    own = finished(world)
    assert facts_for(audit)["id"] == str(own.pk)


def test_a_family_that_was_not_calibrated_is_named(world):
    audit = finished_audit(world)
    finished(world, families=("warp",))
    facts = facts_for(audit)
    assert facts["families_missing"] == ["patch"]
    assert facts["rows"] == []


PATCHES = MarkSettings(groups=tuple(GROUPS), share=0.1)
HALVES = PATCHES.replace(size_classes=(0, 0, 0, 1, 1, 1))
THIRDS_BANNED = PATCHES.replace(size_classes=(0, 0, 1, 1, 2, 2), forbidden=((0, 0),))
PLAIN = MarkSettings(association="plain", share=0.1)


@pytest.mark.parametrize(
    ("marks", "own"),
    [
        ((PATCHES,), []),
        ((HALVES,), []),
        ((PLAIN,), []),
        ((PATCHES, PATCHES), []),
        ((HALVES.replace(forbidden=((0, 1),)),), ["bans patterns from groups."]),
        ((THIRDS_BANNED,), ["does so within 3 and bans patterns from groups."]),
        ((PATCHES, PATCHES, PATCHES), ["combines 3 sets."]),
        ((PATCHES, PLAIN), ["combines 2 sets, plain ones among them."]),
        ((HALVES, PATCHES), ["combines 2 sets, some with size classes or bans."]),
    ],
)
def test_a_note_says_where_it_shows_only_the_nearest_test(world, marks, own):
    audit = started_audit(world, world.auditor, ("Northgate",), MarkSets(marks).to_dict())
    finished(world)
    told = facts_for(audit)["differences"]
    assert [text.partition("This audit ")[2] for text in told] == own
    assert all("is the nearest calibrated test" in text for text in told)


def test_the_page_shows_tables_plot_and_code(world, sign_in):
    calibration = finished(world)
    url = reverse("calibration_detail", args=[calibration.pk])
    page = sign_in(world.legal).get(url, {"family": "warp", "test": "rank"}).content.decode()
    assert "The tests keep their error rate" in page
    assert "Other tests, without an exact error rate" in page
    assert "paired t-test" in page
    assert calibration.code_version in page
    assert "Observed against expected p-values of “rank”, warp, features" in page
    assert "another code" not in page
    Calibration.objects.filter(pk=calibration.pk).update(code_version="0.0.1 (sources 000000000000)")
    assert "another code" in sign_in(world.legal).get(url).content.decode()


def test_few_pairs_are_not_said_to_prove_the_error_rate(world, sign_in):
    audit, enough = finished_audit(world), starting.table_of(finished(world))
    assert sentence(enough).endswith("no interval (99 %) at alpha 0.05 reaches 10 %.")
    few = finished(world, pairs=20)
    assert (few.holds, few.state) == (None, "done")
    browser = sign_in(world.auditor)
    pages = {"calibration_detail": few, "audit_detail": audit, "calibration_list": None}
    for name, shown in pages.items():
        page = browser.get(reverse(name, args=[shown.pk] if shown else [])).content.decode()
        assert "too few pairs to tell" in page, name
    assert "There are too few pairs to tell whether the tests keep their error rate: over 20 pairs" in sentence(
        starting.table_of(few)
    )
    told = browser.get(reverse("calibration_json", args=[few.pk])).json()
    assert (told["holds"], told["error_rate"]) == (None, "too few pairs to tell")
    assert facts_for(audit)["holds"] is None


def test_a_calibration_that_does_not_hold_names_the_test(world, sign_in):
    calibration = finished(world, too_often=True)
    assert calibration.holds is False
    page = sign_in(world.auditor).get(reverse("calibration_detail", args=[calibration.pk])).content.decode()
    assert "does not keep its error rate: “rank”" in page
    assert "does not hold" in sign_in(world.auditor).get(reverse("calibration_list")).content.decode()


def test_the_json_is_the_whole_table(world, sign_in):
    calibration = finished(world)
    answer = sign_in(world.auditor).get(reverse("calibration_json", args=[calibration.pk]))
    assert CalibrationTable.from_dict(answer.json()["table"]).rows == starting.table_of(calibration).rows


def test_the_empty_list_says_what_to_do_and_the_form_starts_one(world, sign_in, no_worker):
    browser = sign_in(world.auditor)
    assert "Nothing has been calibrated yet" in browser.get(reverse("calibration_list")).content.decode()
    assert reverse("calibration_new") not in sign_in(world.legal).get(reverse("calibration_list")).content.decode()
    data = {"organisation": str(world.owner.pk), "families": ["patch"], "rounds": 1, "pairs": 20, "models": 3}
    cost = browser.get(reverse("calibration_cost"), data).content.decode()
    assert "Forward passes" in cost
    answer = browser.post(reverse("calibration_new"), data)
    calibration = Calibration.objects.get()
    assert answer["Location"] == reverse("calibration_detail", args=[calibration.pk])
    assert "Calibrating the tests" in browser.get(answer["Location"]).content.decode()
    wrong = browser.post(reverse("calibration_new"), data | {"families": []})
    assert wrong.status_code == 422


def test_the_result_page_of_an_audit_leads_to_the_calibration(world, sign_in):
    audit = finished_audit(world)
    url = reverse("audit_detail", args=[audit.pk])
    assert "No calibration has been finished here" in sign_in(world.auditor).get(url).content.decode()
    calibration = finished(world)
    assert reverse("calibration_detail", args=[calibration.pk]) in sign_in(world.auditor).get(url).content.decode()


@pytest.mark.suspect
def test_the_command_calibrates_and_answers_with_the_table(world, capsys, no_worker):
    words = ["--as", "adam", "--families", "patch", "--rounds", "1", "--models", "3", "--pairs", "2", "--seed", "3"]
    call_command("calibrate", *words, "--cost", "--json")
    assert json.loads(capsys.readouterr().out)["forward_passes"] > 0
    assert not Calibration.objects.exists()
    with pytest.raises(SystemExit) as ended:
        call_command("calibrate", *words, "--here", "--json")
    assert ended.value.code == 4
    answer = json.loads(capsys.readouterr().out)
    assert (answer["holds"], answer["error_rate"]) == (None, "too few pairs to tell")
    assert CalibrationTable.from_dict(answer["table"]).rows
    with pytest.raises(SystemExit):
        call_command("calibrate", "--as", "lena", "--families", "patch", "--here")
    assert "organisations" in capsys.readouterr().err


def test_a_command_that_waits_for_nothing_says_that_it_is_queued(world, capsys, no_worker):
    call_command("calibrate", "--as", "adam", "--json")
    assert json.loads(capsys.readouterr().out)["state"] == "queued"


def test_the_plots_band_holds_uniform_p_values_and_not_those_of_a_test_that_accuses_innocents():
    generator = np.random.default_rng(3)
    true = make_row("rank", "soft", "patch", False, True, generator.uniform(size=2000).tolist(), [None] * 2000)
    small = make_row("rank", "soft", "patch", True, True, generator.beta(0.5, 1, 2000).tolist(), [None] * 2000)
    plot = qq_plot([true, small])
    low, high, _, uniform, anxious = (np.array(trace["y"]) for trace in plot["figure"]["data"])
    assert ((low <= uniform) & (uniform <= high)).mean() >= 0.9
    assert (anxious < low).mean() > 0.8
    assert plot["columns"] == ["Expected", "without references", "with references", "Band, 99 %"]
    assert len(plot["rows"]) == len(uniform)
