"""Other tests beside an audit: from its answers, and from released and held-out images asked about for them."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from audits.asking.measuring import measure
from audits.judging import codec
from audits.judging.membership import MembershipScores
from audits.judging.result import LeftOut
from audits.models import Audit, AuditRow
from audits.other_tests import DISCLAIMER, MIDDLE_LABEL, paired_t
from audits.services.plans.forecasts import forecast
from audits.services.plans.other_tests import VIEWED_IMAGES, VIEWS, other_test_passes_of
from audits.services.plans.values import values_of
from audits.services.results.as_json import as_json
from audits.services.results.other_tests import told_of
from audits.services.runs import queueing
from audits.services.runs.held_out import NO_FEATURES, NO_HELD_OUT, NO_SHADOW, ask_held_out
from audits.services.runs.other_tests import (
    NO_SHADOWS,
    PAIRED,
    VIEWS_IN_BLOCKS,
    AskedChoice,
    AskedSet,
    Comparison,
    compare,
)
from provenance.canonical import canonical_json
from provenance.models import Job
from provenance.services.jobs.running import JobCancelledError, JobRun
from tests.audits.builders_choices import choice_of
from tests.audits.builders_measuring import LinearModel, make_question, make_secret
from tests.audits.builders_reports import associated_result
from tests.audits.builders_runs import CLASSES, locked_plan, make_releases, make_version, register, untrained

LEVELS = ("features", "soft", "hard")


def asked_choice(strength=0.0, references=1, blocks=200, population=200, number=None):
    """A suspect that knows the published better by `strength`, of images whose scores its references share."""
    choice, rng = choice_of(blocks), np.random.default_rng(2)
    picture, at_home = rng.normal(size=4 * blocks), np.isin(np.arange(4 * blocks), choice.home)
    of = [picture + rng.normal(size=4 * blocks) - strength * at_home * (n == 0) for n in range(references + 1)]
    of[0][5] = np.nan  # an image that was hardly answered
    scores = [{"features": MembershipScores({"density": one}, 0)} for one in of]
    return AskedChoice(choice, population, scores[0], scores[1:], ("ab" * 32, "a release"), number)


def test_images_at_home_get_tests_of_their_own_and_struck_sets_beside_them_keep_theirs(tmp_path):
    found = compare([asked(tmp_path, 0.0, 1, ("hard",))], Comparison(), [asked_choice(1.0, number=2)])
    assert [(verdict.set, verdict.test) for verdict in found.verdicts] == [
        (2, "sequential rank test"),
        (2, "views within blocks, t-test"),
        (2, "views within blocks, Wilcoxon"),
        (1, MIDDLE_LABEL),
    ]
    assert all(verdict.nominal_p < 1e-3 for verdict in found.verdicts[:3])
    again = compare([], Comparison(), [asked_choice(1.0, number=2)])
    assert again.verdicts == found.verdicts[:3]
    innocent = compare([], Comparison(), [asked_choice()])
    assert all(verdict.nominal_p > 0.01 for verdict in innocent.verdicts)


def test_images_at_home_without_a_reference_have_no_views_to_compare():
    found = compare([], Comparison(), [asked_choice(1.0, references=0, blocks=100, population=400)])
    assert [verdict.test for verdict in found.verdicts] == ["sequential rank test"]
    assert [(left.test, left.reason) for left in found.left_out] == [(VIEWS_IN_BLOCKS, NO_SHADOWS)]
    ended_early = found.verdicts[0].nominal_p
    assert ended_early > compare([], Comparison(), [asked_choice(1.0, references=0)]).verdicts[0].nominal_p


EMPTY = associated_result("soft", {}, "ab" * 32)


def written(found: Comparison) -> dict:
    """As a row's result holds it."""
    return codec.write(found.added_to(EMPTY))


def asked(tmp_path, strength=0.0, number=None, levels=LEVELS):
    secret = make_secret(1)
    question = make_question(secret)
    model = LinearModel(5, secret=secret, strength=strength)
    answers = measure(question, tmp_path / f"{strength}-{number}", model, lambda images: None)
    return AskedSet(answers, question.group_of, secret.assignment, levels, number)


def test_every_level_that_was_scored_gets_its_tests(tmp_path):
    found = compare([asked(tmp_path)], Comparison())
    named = [(verdict.level, verdict.test) for verdict in found.verdicts]
    assert named == [
        ("features", "paired t-test"),
        ("features", "Wilcoxon signed-rank, scores"),
        ("soft", "paired t-test"),
        ("soft", "Wilcoxon signed-rank, scores"),
        ("soft", "paired t-test, margin 0.2"),
        ("hard", "Wilcoxon signed-rank, labels, middle pattern"),
    ]
    for verdict in found.verdicts:
        assert verdict.set is None
        assert verdict.disclaimer == DISCLAIMER
        assert verdict.samples == 6 * 30
        assert 0 <= verdict.nominal_p <= 1
    assert found.left_out == []
    canonical_json(written(found))


def test_a_model_with_a_trace_gets_smaller_numbers(tmp_path):
    clean, guilty = (compare([asked(tmp_path, strength)], Comparison()).verdicts for strength in (0.0, 0.6))
    for innocent, found in zip(clean, guilty, strict=True):
        if found.test in ("paired t-test", "Wilcoxon signed-rank, scores"):
            assert found.nominal_p < 1e-4 < innocent.nominal_p


def test_pairs_are_those_of_the_secret_assignment(tmp_path):
    """With another assignment than the true one the trace is not there."""
    one = asked(tmp_path, 0.6, levels=("features",))
    other = AskedSet(one.answers, one.group_of, np.roll(one.assignment, 1), one.levels)
    true, false = (compare([x], Comparison()).verdicts[0].nominal_p for x in (one, other))
    assert true < 1e-4 < false


def test_each_mark_set_has_its_own_lines_and_plain_marks_have_a_reason(tmp_path):
    plain = AskedSet(asked(tmp_path).answers, np.zeros(0, dtype=np.int64), None, (), 3)
    found = compare([asked(tmp_path, 0.0, 1), asked(tmp_path, 0.6, 2), plain], Comparison())
    assert [verdict.set for verdict in found.verdicts] == [1] * 6 + [2] * 6
    assert [(left.test, left.set) for left in found.left_out] == [(PAIRED, 3), (MIDDLE_LABEL, 3)]
    assert all("no group" in left.reason for left in found.left_out)


def test_answers_that_cannot_be_compared_are_left_out_with_a_reason(tmp_path):
    one = asked(tmp_path)
    for part in one.answers.folder.glob("groups.*.soft.npy"):
        np.save(part, np.full_like(np.load(part), np.nan))
    found = compare([one], Comparison())
    assert {verdict.level for verdict in found.verdicts} == {"features", "soft"}
    reason = "The model answered none of the images of one group."
    assert found.left_out == [LeftOut(test=MIDDLE_LABEL, reason=reason, level="hard")]


def test_answers_that_never_move_give_numbers_that_json_can_hold(tmp_path):
    """Rounding is no difference; and where all differences are alike, the t-test's statistic is infinite."""
    one = asked(tmp_path, levels=("features",))
    clean = np.load(next(one.answers.folder.glob("clean.*.features.npy")))
    for part in one.answers.folder.glob("key-*.features.npy"):
        np.save(part, clean)
    found = compare([one], Comparison())
    canonical_json(written(found))
    assert {verdict.nominal_p for verdict in found.verdicts} == {1.0}
    found = Comparison()
    found.add("soft", None, paired_t(np.zeros(5), np.ones(5)))
    assert canonical_json(written(found))


def test_nothing_names_a_pattern_or_its_group(tmp_path):
    """Every number is one of all pairs of a set: renaming patterns together with their groups changes nothing."""
    one = asked(tmp_path, 0.3, levels=LEVELS)
    moved = tmp_path / "moved"
    shutil.copytree(one.answers.folder, moved)
    order = np.random.default_rng(3).permutation(len(one.assignment))
    for new, old in enumerate(order):
        for part in one.answers.folder.glob(f"key-{old:03d}.*"):
            shutil.copy(part, moved / part.name.replace(f"key-{old:03d}", f"key-{new:03d}"))
    other = AskedSet(type(one.answers)(moved), one.group_of, one.assignment[order], LEVELS)
    found, renamed = (compare([x], Comparison()).verdicts for x in (one, other))
    for a, b in zip(found, renamed, strict=True):
        assert a.nominal_p == pytest.approx(b.nominal_p)
        assert a.statistic == pytest.approx(b.statistic)
        assert a.details == pytest.approx(b.details)
    assert not {"assignment", "patterns", "groups"} & set().union(*map(vars, found))


@pytest.fixture
def woods(world):
    """Two releases, images that never left the house, a suspect, and a plan that compares them with a reference."""

    def make(references=1, held_out=True, probes=30, **more):
        releases = make_releases(world, make_version(world, per_class=20), "North", "South")
        models = [register(world, f"reference {n}", untrained(seed=20 + n), "reference") for n in range(references)]
        grove = make_version(world, per_class=8, name="Grove", seed=8) if held_out else None
        suspect = register(world, "suspect", untrained(seed=3))
        plan = locked_plan(world, releases, suspect, references=models, probes=probes, held_out=grove, **more)
        return plan, Audit.objects.create(plan=plan, created_by=world.auditor)

    return make


def run_of(audit):
    job = Job.objects.create(
        kind="audit.run", queue="gpu", state="running", organisation=audit.plan.organisation, subject_id=str(audit.pk)
    )
    return JobRun(job)


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
def test_released_and_held_out_images_are_asked_about(woods):
    plan, audit = woods()
    found = ask_held_out(run_of(audit), audit)
    for release in plan.releases.all():
        comparison = found.of(release)
        assert comparison.left_out == []
        assert [(v.test, v.level, v.set) for v in comparison.verdicts] == [
            ("GMM log-likelihood", "features", None),
            ("view consistency", "features", None),
        ]
        assert [v.samples for v in comparison.verdicts] == [15 + 30, 30]
    # What was forecast was asked: images of two releases and held-out ones, and views of all three by two models.
    suspect, shadow = plan.suspect, plan.references.get()
    passes = {spent["name"]: spent["forward_passes"] for spent in found.models}
    assert passes == {suspect.name: 3 * 30 + 3 * VIEWS * 30, shadow.name: 3 * VIEWS * 30}
    values = values_of(plan)
    assert {model.name: other_test_passes_of(values, model) for model in (suspect, shadow)} == passes
    facts = {"forward_passes": 10, "models": [{"name": suspect.name, "forward_passes": 10, "seconds": 1.0}]}
    assert found.added_to(facts)["forward_passes"] == 10 + sum(passes.values())
    assert found.added_to(facts)["models"][0]["forward_passes"] == 10 + passes[suspect.name]
    # Decoded images lie where the run removes them at its end.
    images = list(audit.folder.rglob("*other-verifiers/*.npy"))
    assert images
    assert all(path.is_relative_to(audit.folder / "images") for path in images)


def test_views_are_asked_of_so_many_images_at_most(world, db):
    class Values:
        version = held_out = type("Version", (), {"file_count": 1000})()
        releases = [1]
        suspect = register(world, "suspect", b"weights")
        references = [register(world, "reference", b"other weights", "reference")]
        probes = 300

    views, (reference,) = 2 * VIEWS * VIEWED_IMAGES, Values.references
    assert other_test_passes_of(Values(), Values.suspect) == 600 + views
    assert other_test_passes_of(Values(), reference) == views
    Values.references = []
    assert other_test_passes_of(Values(), Values.suspect) == 600
    Values.held_out = None
    assert other_test_passes_of(Values(), Values.suspect) == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
def test_a_whole_audit_asks_them_and_counts_what_it_asked(world, sign_in):
    (release,) = make_releases(world, make_version(world, per_class=20), "North")
    grove = make_version(world, per_class=8, name="Grove", seed=8)
    suspect, reference = (
        register(world, name, untrained(seed), role)
        for name, seed, role in (("suspect", 3, "suspect"), ("reference", 4, "reference"))
    )
    sizes = {"probes": 12, "group_images": 2, "wrong_key_control": False}
    plan = locked_plan(world, [release], suspect, references=[reference], held_out=grove, **sizes)
    ahead = forecast(values_of(plan)).passes
    audit = queueing.queue(plan, by=world.auditor)
    audit.refresh_from_db()
    assert (audit.state, audit.job.reason) == ("done", "")
    result = audit.rows.get().result
    assert [verdict["verifier"] for verdict in result["verifiers"]][-2:] == ["GMM log-likelihood", "view consistency"]
    assert len(result["verifiers"]) == 8
    assert result["verifiers_left_out"] == []
    # But for groups that have fewer unmarked images left than the plan would take.
    assert ahead - 2 * 6 * 2 <= audit.facts["forward_passes"] <= ahead
    assert sum(model["forward_passes"] for model in audit.facts["models"]) == audit.facts["forward_passes"]
    assert not (audit.folder / "images").exists()
    shown = as_json(audit, world.auditor)["releases"][0]["result"]
    assert shown["verifiers"] == result["verifiers"]
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk])).content.decode()
    assert "What other tests would have said" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
def test_what_is_missing_is_said(woods, world):
    plan, audit = woods(references=0, held_out=False)
    release = plan.releases.first()
    found = ask_held_out(run_of(audit), audit)
    assert {left.reason for left in found.of(release).left_out} == {NO_HELD_OUT}
    assert found.models == []

    plan.held_out = make_version(world, per_class=8, name="Grove", seed=8)
    found = ask_held_out(run_of(audit), audit).of(release)
    assert [verdict.test for verdict in found.verdicts] == ["GMM log-likelihood"]
    assert [left.reason for left in found.left_out] == [NO_SHADOW]

    # All of these are in the released version as well, so nothing was held out.
    plan.held_out = make_version(world, per_class=8, name="Twigs", seed=7)
    found = ask_held_out(run_of(audit), audit).of(release)
    assert not found.verdicts
    assert "in the released one" in found.left_out[0].reason

    plan.held_out = make_version(world, per_class=8, name="Ruins", seed=9)
    shutil.rmtree(plan.held_out.files_folder)
    shutil.rmtree(audit.folder)
    found = ask_held_out(run_of(audit), audit).of(release)
    assert not found.verdicts
    assert "cannot be read any more" in found.left_out[0].reason

    plan.suspect.spec["returns"] = ["soft", "hard"]
    found = ask_held_out(run_of(audit), audit).of(release)
    assert {left.reason for left in found.left_out} == {NO_FEATURES}


@pytest.mark.django_db(transaction=True)
@pytest.mark.suspect
def test_a_stopped_run_goes_on_where_it_was(woods):
    _, audit = woods(references=0)
    run = run_of(audit)

    class Stopping(JobRun):
        def progress(self, done, total, phase=""):
            if done >= 60:
                raise JobCancelledError("Cancelled.")

    with pytest.raises(JobCancelledError):
        ask_held_out(Stopping(run.job), audit)
    kept = {path: path.stat().st_mtime_ns for path in audit.folder.rglob("*.done")}
    assert kept
    time.sleep(0.01)
    ask_held_out(run, audit)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert len(list(audit.folder.rglob("*.done"))) == 3


@pytest.mark.django_db(transaction=True)
def test_the_page_labels_them(woods, tmp_path):
    plan, audit = woods(references=0, held_out=False)
    found = compare([asked(tmp_path, 0.3)], ask_held_out(run_of(audit), audit).of(plan.releases.first()))
    row = AuditRow(audit=audit, release=plan.releases.first(), result=written(found))
    page = render_to_string("audits/other_tests.html", {"other_tests": told_of(row)})
    assert "What other tests would have said" in page
    assert "no exact error rate" in page
    assert "decide nothing" in page
    assert "arXiv 2209.06015" in page
    assert page.count("<tr>") == 1 + 6
    assert "GMM log-likelihood: The plan names no held-out images" in page
    assert not any(label in page for label in CLASSES)
    of_an_earlier_version = AuditRow(audit=audit, release=row.release, result=codec.write(EMPTY))
    assert not render_to_string("audits/other_tests.html", {"other_tests": told_of(of_an_earlier_version)}).strip()
