"""A reference is asked once per key and probes: the next audit with the same question reads what it answered."""

import dataclasses

import numpy as np
import pytest

from audits.asking.measuring import Marks, Question
from audits.models import Audit, RegisteredModel
from audits.services.answers.kept import Asking, answered_before, answers_folder, runtime, shared_folder
from audits.services.models import connection
from audits.services.runs import queueing
from audits.suspects import ModelSpec, SuspectInfo
from tests.audits.builders_runs import locked_plan, make_releases, make_version, register, untrained

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]


def run(world, plan) -> Audit:
    audit = Audit.objects.get(pk=queueing.queue(plan, by=world.auditor).pk)
    assert (audit.state, audit.job.reason) == ("done", "")
    return audit


def connected(model: RegisteredModel) -> RegisteredModel:
    """After a connection test, which notes where the model runs."""
    assert connection.queue_test(model, by=None).state == "queued"
    model.refresh_from_db()
    assert model.connection["device"]
    return model


def notes(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.npy")}


def test_the_second_suspect_costs_no_question_to_the_reference(world):
    (release,) = make_releases(world, make_version(world), "North")
    reference = connected(register(world, "reference", untrained(2), "reference"))
    first = locked_plan(world, [release], register(world, "first", untrained(3)), references=[reference])
    asking = Asking(reference, 0, first.probes, first.group_images, runtime(reference.connection))
    assert answered_before(release, asking) == 0
    one = run(world, first)
    kept = notes(shared_folder(release))
    # Clean probes, six patterns on them, and what images of the six groups there are.
    assert 40 * 7 < answered_before(release, asking) <= 40 * 7 + 6 * 8
    assert not (one.folder / "answers" / str(release.pk) / str(reference.pk)).exists()

    second = locked_plan(world, [release], register(world, "second", untrained(4)), references=[reference])
    two = run(world, second)
    assert notes(shared_folder(release)) == kept
    name = "reference"
    for level in ("features", "soft"):
        alone = [
            [c["p"] for c in audit.rows.get().result["levels"][level]["controls"] if c["name"] == name]
            for audit in (one, two)
        ]
        assert alone[0] == pytest.approx(alone[1], abs=0.01)  # the same pulls; permutations are all enumerated

    # Other probes are another question.
    run(world, locked_plan(world, [release], second.suspect, references=[reference], probes=30, exploratory=True))
    assert len(notes(shared_folder(release))) > len(kept)


INFO = SuspectInfo((3, 24, 24), (0.5,) * 3, (0.25,) * 3, 8, 6, 100, "CPU", True, True, {"torch": "2.15.0"})


def test_what_computed_the_answers_is_part_of_the_question(world):
    (release,) = make_releases(world, make_version(world), "North")
    reference = register(world, "reference", untrained(2), "reference")
    plan = locked_plan(world, [release], register(world, "suspect", untrained(3)), references=[reference])
    audit = Audit(plan=plan, created_by=world.auditor)

    def folder(info):
        images = np.zeros((2, 24, 24, 3), dtype=np.uint8)
        marks = Marks("{}", np.zeros((2, 4, 4, 3), dtype=np.uint8), np.zeros((2, 2)))
        question = Question(f"{reference.asked_as} {release.pk}", images, images, np.zeros(2, dtype=np.int64), marks)
        return answers_folder(audit, release, reference, question, info)

    first = folder(INFO)
    assert folder(INFO) == first
    others = [
        folder(dataclasses.replace(INFO, device="NVIDIA H200")),
        folder(dataclasses.replace(INFO, versions={"torch": "2.15.1"})),
    ]
    for changed in ({"precision": "bfloat16"}, {"channels_last": True}):
        reference.spec = dataclasses.replace(ModelSpec.from_json(reference.spec), **changed).to_json()
        others.append(folder(INFO))
    assert len({first, *others}) == 5
    assert {path.parent for path in others} == {shared_folder(release)}


def test_answers_of_an_audits_own_go_once_other_code_or_another_device_asks(world, monkeypatch):
    (release,) = make_releases(world, make_version(world), "North")
    suspect = register(world, "suspect", untrained(3))
    audit = Audit(plan=locked_plan(world, [release], suspect), created_by=world.auditor)
    earlier_layout = audit.folder / "answers" / str(release.pk) / str(suspect.pk) / "set-2"
    earlier_layout.mkdir(parents=True)
    (earlier_layout.parent / "clean.0000.done").write_text("9")
    question = Question(
        "",
        *[np.zeros((2, 24, 24, 3), dtype=np.uint8)] * 2,
        np.zeros(2, dtype=np.int64),
        Marks("", *[np.zeros((2, 2))] * 2),
    )

    def asked(info, number=0):
        folder = answers_folder(audit, release, suspect, question, info, number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "clean.0000.features.npy").write_bytes(b"answers")
        return folder

    first, second_set = asked(INFO), asked(INFO, 1)
    assert not earlier_layout.exists()
    assert second_set.is_relative_to(first)
    assert (asked(INFO), asked(INFO, 1)) == (first, second_set)
    other_device = asked(dataclasses.replace(INFO, device="NVIDIA H200"))
    assert not first.exists()
    other_version = asked(dataclasses.replace(INFO, versions={"torch": "2.15.1"}))
    assert not other_device.exists()
    monkeypatch.setattr("audits.services.answers.kept.computing_digest", lambda: "000000000000")
    asked(INFO)
    assert not other_version.exists()
    assert len(notes(audit.folder)) == 1
