"""One suspect under several names: found at the connection test, counted in every correction, shown, not told whose."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from audits.models import RegisteredModel
from audits.services.models import registering
from audits.services.models.identity import (
    names_of,
    names_seen_by,
    not_compared,
    recognise,
    registrations_of,
)
from audits.services.models.registering import Registration
from audits.services.plans.checks import check
from audits.services.plans.forecasts import forecast
from audits.services.plans.reference_suggestions import Verdict, suggest_references
from audits.services.plans.series import OtherWeights, other_runs, other_weights
from audits.services.plans.values import PlanError
from audits.services.results.as_json import as_json
from audits.suspects import ModelSpec
from audits.suspects.geometry import NOISE_IMAGES, distance
from audits.suspects.identity import TOLERANCE, identity_of
from provenance.models import Job, LogEntry
from provenance.services.jobs import worker
from tests.audits.builders_plans import changed, plan_values
from tests.audits.builders_reports import model, sha
from tests.audits.builders_verdicts import Bench
from tests.audits.suspects.models import FEATURES, LABELS, cifar_weights, told

pytestmark = pytest.mark.django_db

STRONG = {("Northgate", "features"): 0.2}


@pytest.fixture
def bench(world) -> Bench:
    return Bench(world)


def after_test(made: RegisteredModel, answers: int, tensors: str, change: float = 0.0) -> RegisteredModel:
    """As after a connection test: answers drawn from a seed, a little changed."""
    rng = np.random.default_rng(answers)
    features = rng.normal(size=(NOISE_IMAGES, 30)) + change * np.random.default_rng(99).normal(size=(NOISE_IMAGES, 30))
    made.identity = identity_of(told(sha(tensors), **FEATURES), {"1 64": features.astype(np.float32)}).to_json()
    made.save()
    recognise(made)
    made.refresh_from_db()
    return made


def other(world, name: str, *, guest: bool = False, role: str = "suspect") -> RegisteredModel:
    home, by = (world.laboratory, world.guest_auditor) if guest else (world.owner, world.auditor)
    return model(home, by, name, role)


def test_the_same_tensors_or_answers_are_one_suspect_and_others_are_not(world):
    first = after_test(other(world, "first"), 1, "w")
    byte = after_test(other(world, "byte"), 1, "w")
    rounded = after_test(other(world, "rounded"), 1, "rounded", change=1e-3)
    stranger = after_test(other(world, "stranger"), 2, "s")
    assert set(registrations_of(first)) == {first, byte, rounded}
    assert set(registrations_of(stranger)) == {stranger}
    assert len(set(names_of([first, byte, rounded, stranger]).values())) == 2


def test_a_chain_of_small_changes_stays_one_suspect(world):
    chain = [after_test(other(world, f"step {n}"), 1, f"step {n}", change=0.03 * n) for n in range(4)]
    assert set(registrations_of(chain[0])) == set(registrations_of(chain[-1])) == set(chain)
    geometries = [tuple(one.identity["geometries"]["features 64"]) for one in chain]
    assert distance(geometries[0], geometries[1]) < TOLERANCE < distance(geometries[0], geometries[-1])


def test_two_suspects_that_a_third_joins_become_one(world):
    one, two = after_test(other(world, "one"), 1, "one"), after_test(other(world, "two"), 2, "two")
    assert set(registrations_of(one)) == {one}
    for number, answers in enumerate((1, 2)):  # one file, described in two ways and tested twice
        third = other(world, f"third {number}")
        RegisteredModel.objects.filter(pk=third.pk).update(sha256=sha("third"))
        third.refresh_from_db()
        after_test(third, answers, "third")
    assert {one, two} < set(registrations_of(two))
    assert len(set(names_of(RegisteredModel.objects.all()).values())) == 1


def test_until_a_test_only_the_file_is_known(world):
    first = after_test(other(world, "first"), 1, "w")
    same_file = model(world.laboratory, world.guest_auditor, "first")
    untested = other(world, "untested")
    assert set(registrations_of(first)) == set(registrations_of(same_file)) == {first, same_file}
    assert set(registrations_of(untested)) == {untested}
    after_test(untested, 1, "w")
    assert set(registrations_of(same_file)) == {first, same_file, untested}


def test_models_of_earlier_versions_are_tested_anew_once(world, no_worker, capsys):
    """Of all organisations, for one that nobody ever tested may be a suspect under another name."""
    after_test(other(world, "known"), 1, "w")
    before = other(world, "identity of another form", guest=True)
    RegisteredModel.objects.filter(pk=before.pk).update(identity={"tensors": sha("w"), "geometries": {}, "labels": []})
    other(world, "never tested")
    RegisteredModel.objects.filter(pk=other(world, "arriving").pk).update(state="arriving", sha256="")
    told = []
    for _ in range(2):
        call_command("identify_models", "--json")
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == {"queued": 2, "queued_before": 0, "failed": 0, "known": 1, "not_known": 2}
    assert told[1] == told[0] | {"queued": 0, "queued_before": 2}
    assert Job.objects.filter(kind="model.connection_test").count() == 2


@pytest.mark.suspect
def test_the_command_finds_that_an_old_registration_elsewhere_is_the_same(world, tmp_path, no_worker, capsys):
    from safetensors.torch import load_file, save_file

    path, copy = cifar_weights(tmp_path), tmp_path / "copy.safetensors"
    save_file(load_file(path), copy, metadata={"note": "a byte"})
    said = Registration("one", "suspect", ModelSpec("cifar_resnet:20"))
    made = [
        registering.register_local(world.owner, said, path, by=world.auditor),
        registering.register_local(world.laboratory, said, copy, by=world.guest_auditor),
    ]
    Job.objects.update(state="cancelled")
    gone = model(world.elsewhere, world.outsider, "gone")  # its weights are no more
    call_command("identify_models", "--here", "--json")
    told = capsys.readouterr()
    assert json.loads(told.out) == {"queued": 3, "queued_before": 0, "failed": 1, "known": 2, "not_known": 1}
    assert "model 3 of 3" in told.err
    made[0].refresh_from_db()
    assert set(registrations_of(made[0])) == set(made)
    assert set(not_compared(made[0])) == {gone}


def test_runs_under_another_name_count_in_the_correction(bench, world):
    """A byte of metadata makes a new file, and no new suspect."""
    north = bench.releases[0]
    after_test(bench.suspect, 1, "w")
    renamed = after_test(other(world, "another name"), 1, "other numbers", change=1e-3)
    stranger = after_test(other(world, "stranger"), 2, "s")
    bench.stored(bench.queued(bench.plan(north)), STRONG)
    bench.stored(bench.queued(bench.plan(north, suspect=stranger)), STRONG)
    plan = bench.plan(north, suspect=renamed)
    row = bench.stored(bench.queued(plan), STRONG).rows.get()
    assert row.result["tests"] == 2
    assert row.p_corrected == pytest.approx(2 / 720)
    assert len(other_runs(row.audit).earlier) == 1
    assert other_weights(row.audit) == OtherWeights(runs=1, files=1)


def test_a_suspect_that_is_its_own_reference_under_another_name_is_refused(world):
    values = plan_values(world)
    after_test(values.suspect, 1, "w")
    reference = other(world, "ours", role="reference")
    RegisteredModel.objects.filter(pk=reference.pk).update(connection={"images_per_second": 100.0})
    reference.refresh_from_db()
    planned = changed(values, references=[reference], decide_with_references=False)
    check(planned)
    after_test(reference, 1, "copy", change=1e-3)
    with pytest.raises(PlanError, match="same weights as another model of this plan, or gives the same answers"):
        check(planned)
    (suggestion,) = suggest_references(values.suspect, values.releases, ["features"], world.auditor)
    assert (suggestion.verdict, "same answers" in suggestion.reasons[0]) == (Verdict.CANNOT, True)


def test_other_names_are_shown_to_those_who_may_see_them_and_else_counted(bench, world, sign_in):
    mine = after_test(bench.suspect, 1, "w")
    after_test(other(world, "second name"), 1, "numbers", change=1e-3)
    theirs = after_test(other(world, "their name", guest=True), 1, "w")
    plan = bench.plan(bench.releases[0])
    audit = bench.stored(bench.queued(plan))
    browser = sign_in(world.auditor)
    pages = [("model_detail", mine.pk), ("plan_detail", plan.pk), ("audit_detail", audit.pk)]
    for name, pk in pages:
        page = browser.get(reverse(name, args=[pk])).content.decode()
        assert "second name</a> (the same answers to noise images)" in page
        assert "1 time by another organisation" in page
        assert "their name" not in page
        assert "Birch" not in page
    told = json.loads(json.dumps(as_json(audit, world.auditor)))["suspect"]
    assert [one["name"] for one in told["also_registered"]] == ["second name"]
    assert (told["registered_elsewhere"], told["tensors"]) == (1, sha("w"))
    guest = sign_in(world.guest_auditor).get(reverse("model_detail", args=[theirs.pk])).content.decode()
    assert "2 times by another organisation" in guest
    assert "second name" not in guest
    assert "suspect-1" not in guest
    assert not names_seen_by(after_test(other(world, "stranger"), 2, "s"), world.auditor)


def test_commands_tell_other_names(bench, world, tmp_path, no_worker, capsys):
    after_test(bench.suspect, 1, "w")
    after_test(other(world, "second name"), 1, "numbers", change=1e-3)
    after_test(other(world, "their name", guest=True), 1, "w")
    named = ["--dataset", "Meadows", "--suspect", "suspect-1", "--release", "Northgate", "--probes", "100"]
    call_command("plan_audit", "--as", "adam", "--json", *named)
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["alike_in"]) for one in told["also_registered"]] == [
        ("second name", "the same answers to noise images")
    ]
    assert told["registered_elsewhere"] == 1
    path = cifar_weights(tmp_path)
    words = [path, "--as", "adam", "--json", "--architecture", "cifar_resnet:20"]
    for name, before in (("first", []), ("again", ["first"])):
        call_command("register_model", *words, "--name", name)
        told = json.loads(capsys.readouterr().out)
        assert [one["name"] for one in told["also_registered"]] == before
        assert told["perhaps_the_same"] == []


def test_like_labels_are_shown_and_count_for_nothing(world, sign_in):
    labels = np.zeros((NOISE_IMAGES, 3), np.float32)
    labels[np.arange(NOISE_IMAGES), [0, 1, 2, 1] * 4] = 1.0
    made = []
    for name in ("one", "two"):
        one = other(world, name)
        one.identity = identity_of(told(sha(name), **LABELS), {"1 64": labels}).to_json()
        one.save()
        recognise(one)
        made.append(one)
    assert set(registrations_of(made[0])) == {made[0]}
    page = sign_in(world.auditor).get(reverse("model_detail", args=[made[0].pk])).content.decode()
    assert "Perhaps the same" in page
    assert "which decides nothing" in page
    names = names_seen_by(made[0], world.auditor).to_json()
    assert (names["also_registered"], [one["name"] for one in names["perhaps_the_same"]]) == ([], ["two"])


def test_a_forecast_counts_runs_under_other_names(world, bench):
    after_test(bench.suspect, 1, "w")
    bench.stored(bench.queued(bench.plan(bench.releases[0])))
    values = plan_values_of(bench, after_test(other(world, "another name"), 1, "w"))
    assert forecast(values).factor == 2


def plan_values_of(bench: Bench, suspect: RegisteredModel):
    from audits.services.plans.values import values_of

    return values_of(bench.plan(bench.releases[0], suspect=suspect))


@pytest.mark.suspect
def test_the_connection_test_finds_a_copy_with_another_byte(world, tmp_path, no_worker):
    """Through the confined child: registered, tested, and known again though its file and description differ."""
    from safetensors.torch import load_file, save_file

    path = cifar_weights(tmp_path)
    save_file(load_file(path), tmp_path / "copy.safetensors", metadata={"note": "a byte"})
    spec = ModelSpec("cifar_resnet:20", returns=("features", "soft", "hard"))
    first = registering.register_local(world.owner, Registration("first", "suspect", spec), path, by=world.auditor)
    said = ModelSpec("cifar_resnet:20", returns=("features",), mean=(0.1,) * 3, precision="bfloat16")
    again = Registration("second", "suspect", said)
    second = registering.register_local(world.owner, again, tmp_path / "copy.safetensors", by=world.auditor)
    while job := Job.objects.filter(state=Job.State.QUEUED).order_by("created_at").first():
        worker.run(str(job.pk))
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.sha256 != second.sha256 == hashlib.sha256((tmp_path / "copy.safetensors").read_bytes()).hexdigest()
    assert first.known_as == second.known_as
    assert first.identity["tensors"] == second.identity["tensors"]
    assert first.identity["geometries"]["features 64"] == pytest.approx(
        second.identity["geometries"]["features 64"], abs=1e-4
    )
    entry = LogEntry.objects.about(second).get(verb="model.tested")
    assert entry.digests == {"weights": second.sha256, "tensors": second.identity["tensors"]}
    assert "identity" not in second.connection
