"""Shared answers of references: swept when nobody can use them any more, never under an audit that reads them."""

import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from audits import tasks
from audits.asking.measuring import Marks, Question
from audits.models import Audit, RegisteredModel
from audits.services.answers.kept import (
    ABOUT,
    Asking,
    answered_before,
    answers_folder,
    root_folder,
    runtime,
    shared_folder,
)
from audits.services.answers.sweep import SWEPT, sweep_answers
from audits.services.plans.drafting import save_draft
from audits.suspects import SuspectInfo
from config.celery import app
from provenance.models import Job
from provenance.services.jobs import queue
from tests.audits.builders_plans import changed, plan_values
from tests.audits.builders_reports import model

pytestmark = pytest.mark.django_db

INFO = SuspectInfo((3, 24, 24), (0.5,) * 3, (0.25,) * 3, 8, 6, 100, "CPU", True, True, {"torch": "2.15.0"})
QUESTION = Question(
    "a question",
    np.zeros((2, 24, 24, 3), dtype=np.uint8),
    np.zeros((2, 24, 24, 3), dtype=np.uint8),
    np.zeros(2, dtype=np.int64),
    Marks("{}", np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros((2, 2))),
)


@pytest.fixture
def audit(world) -> Audit:
    """Done, with one reference."""
    reference = model(world.owner, world.auditor, "reference-1", "reference")
    plan = save_draft(changed(plan_values(world), references=[reference]), by=world.auditor)
    audit = Audit.objects.create(plan=plan, created_by=world.auditor, state="done")
    audit.job = queue.enqueue("audit.run", audit, organisation=world.owner, by=world.auditor)
    Job.objects.filter(pk=audit.job.pk).update(state="done")
    audit.save()
    return audit


def use(audit: Audit) -> Path:
    """What an audit does before it asks, and one answer."""
    folder = answers_folder(audit, audit.plan.releases.get(), audit.plan.references.get(), QUESTION, INFO)
    (folder / "clean.0000.features.npy").write_bytes(b"answers")
    return folder


def age(folder: Path, days: float) -> None:
    then = (timezone.now() - timedelta(days=days)).timestamp()
    os.utime(folder / ABOUT, (then, then))


def test_answers_that_somebody_may_use_stay(audit):
    folder = use(audit)
    age(folder, django_settings.REFERENCE_ANSWERS_DAYS - 1)
    assert sweep_answers() == 0
    assert (folder / "clean.0000.features.npy").exists()


def test_answers_unused_for_long_go_and_the_log_says_so(audit, caplog):
    folder = use(audit)
    age(folder, django_settings.REFERENCE_ANSWERS_DAYS + 1)
    with caplog.at_level(logging.INFO):
        assert sweep_answers() == 1
    assert not folder.exists()
    assert not shared_folder(audit.plan.releases.get()).exists()
    assert "unused for 90 days" in caplog.text
    assert sweep_answers() == 0


def test_every_use_counts_anew(audit):
    folder = use(audit)
    age(folder, django_settings.REFERENCE_ANSWERS_DAYS + 1)
    assert use(audit) == folder
    assert sweep_answers() == 0


@pytest.mark.parametrize("state", ["queued", "running"])
def test_nothing_goes_while_an_audit_of_the_release_is_under_way(audit, state):
    folder = use(audit)
    age(folder, 1000)
    Job.objects.filter(pk=audit.job.pk).update(state=state)
    assert sweep_answers() == 0
    assert folder.exists()
    Job.objects.filter(pk=audit.job.pk).update(state="failed")
    assert sweep_answers() == 1


def test_answers_of_a_model_that_is_gone_or_run_in_another_way_go(audit):
    folder, reference = use(audit), audit.plan.references.get()
    RegisteredModel.objects.filter(pk=reference.pk).update(spec=reference.spec | {"precision": "bfloat16"})
    assert sweep_answers() == 1
    assert not folder.exists()
    use(audit)
    assert sweep_answers() == 0
    audit.plan.references.clear()
    reference.delete()
    assert sweep_answers() == 1


def test_answers_of_a_release_that_is_gone_go(audit):
    folder = use(audit)
    audit.plan.releases.get().delete()
    assert sweep_answers() == 1
    assert not folder.exists()


def test_answers_to_another_version_of_the_code_and_what_was_half_made_go(audit):
    folder = use(audit)
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps(about | {"code": "0.0.1"}))
    (folder.parent / "begun").mkdir()
    left = root_folder() / SWEPT / "by a sweep that was killed"
    left.mkdir(parents=True)
    assert sweep_answers() == 2
    assert not folder.parent.exists()
    assert not left.exists()


@pytest.mark.parametrize("about", ["", "{", "[]", b"\xff", '{"code": 1}'])
def test_one_bad_folder_keeps_no_other_from_being_swept(audit, caplog, about):
    other = root_folder() / str(uuid4()) / "answers"  # of a release that is gone
    other.mkdir(parents=True)
    (root_folder() / "this-is-not-a-uuid").mkdir()
    folder = use(audit)
    text = about if isinstance(about, bytes) else about.encode()
    (folder / ABOUT).write_bytes(text)
    older = text.startswith(b'{"')
    assert sweep_answers() == 1 + older
    assert not other.parent.exists()
    assert folder.exists() != older
    assert "this-is-not-a-uuid" in caplog.text
    assert (str(folder.parent) in caplog.text) != older


def test_a_note_that_cannot_be_read_counts_as_not_answered_in_a_forecast(audit):
    folder, release = use(audit), audit.plan.releases.get()
    (folder / "clean.0000.done").write_text("7")
    reference = audit.plan.references.get()
    asking = Asking(reference, 0, audit.plan.probes, audit.plan.group_images, runtime(INFO.to_json()))
    assert answered_before(release, asking) == 7
    for unreadable in (b"{", b"\xff"):
        (folder / ABOUT).write_bytes(unreadable)
        assert answered_before(release, asking) == 0
    use(audit)  # the next audit with the same question writes it anew
    assert answered_before(release, asking) == 7


def test_what_another_sweep_took_away_is_no_error(caplog):
    root_folder().mkdir(parents=True)
    (root_folder() / str(uuid4())).symlink_to("gone")
    assert sweep_answers() == 0
    assert not caplog.records


def test_stray_files_go_too(audit):
    shared = use(audit).parent
    (shared / "stray").write_text("a file")
    assert sweep_answers() == 1
    assert not any((root_folder() / SWEPT).iterdir())


def test_it_runs_by_itself():
    schedule = app.conf.beat_schedule["sweep answers"]
    assert schedule["task"] == tasks.sweep_answers.name
    tasks.sweep_answers.delay()
    assert (root_folder() / SWEPT).exists()
