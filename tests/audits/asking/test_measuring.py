"""A measurement from asking to conclusion, on a small real model; killed and resumed; with missing answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from audits.asking.measuring import MeasuringError, Question, already_answered, measure
from audits.judging.assignments import CorrectedP, Rules, Secrets, conclude, judge_level, sentence
from audits.judging.levels import CombinedLevel, Control
from audits.judging.scoring import LevelScores, available_levels, score_level, score_levels
from audits.statistics.combination import combine
from audits.statistics.density import DensityError, DensityScores
from audits.suspects import AppliedMark
from tests.audits.builders_measuring import GROUPS, Given, LinearModel, make_question, make_secret

RULES = Rules(digest="ab" * 32, level="features", alpha=0.01, permutations=1000, decide_with_references=False)


class Stop(Exception):  # noqa: N818
    pass


def ask(model, question, folder, on_block=lambda images: None):
    return measure(question, folder, model, on_block)


def judged(answers, question, secret, references=None, wrong=None, level="features", rules=RULES):
    scores = score_level(answers, level, len(GROUPS), question.group_of)
    secrets = Secrets(secret.assignment, wrong.assignment if wrong else None)
    return judge_level(level, scores, references or {}, secrets, rules, "r1")


def test_a_model_with_a_trace_is_found_at_every_level_and_a_clean_one_is_not(tmp_path):
    secret, wrong = make_secret(1), make_secret(2)
    question = make_question(secret, wrong=wrong)
    marked = ask(LinearModel(5, secret=secret, strength=0.6), question, tmp_path / "marked")
    clean = ask(LinearModel(6), question, tmp_path / "clean")
    assert available_levels(marked) == ("features", "soft", "hard")
    for level in available_levels(marked):
        found = judged(marked, question, secret, wrong=wrong, level=level)
        assert found.p <= 0.01, level
        assert conclude(found, CorrectedP(found.p, found.smallest_p), RULES)[0] == "evidence"
        assert [control.p > 0.01 for control in found.controls] == [True]
        assert all(len(getattr(found, name)) == len(GROUPS) for name in ("pulls", "densities"))
        assert judged(clean, question, secret, wrong=wrong, level=level).p > 0.01


def test_every_image_is_asked_once_and_counted(tmp_path):
    secret = make_secret(1)
    question, model = make_question(secret, wrong=make_secret(2)), LinearModel(5)
    counted = []
    ask(model, question, tmp_path, counted.append)
    assert model.asked == question.forward_passes == sum(counted) == 30 * (1 + 6 + 6) + 48
    assert model.loads == 2  # probes and group images travel once


def test_a_killed_measurement_resumes_and_gives_the_same_answers(tmp_path):
    secret = make_secret(1)
    question, model = make_question(secret, probes=120), LinearModel(5)
    whole = ask(LinearModel(5), question, tmp_path / "whole")
    seen = []

    def stop_in_the_middle(images):
        seen.append(images)
        if len(seen) == 4:
            raise Stop

    with pytest.raises(Stop):
        ask(model, question, tmp_path / "killed", stop_in_the_middle)
    asked_before = model.asked
    assert already_answered(question, tmp_path / "killed") == asked_before == 120 + 48 + 2 * 256
    # A kill between the two files of a block leaves one without its note.
    (note,) = (tmp_path / "killed").glob("mixed-*.0001.done")
    note.unlink()
    second = LinearModel(5)
    resumed = ask(second, question, tmp_path / "killed")
    assert asked_before + second.asked == question.forward_passes + 256
    for level in available_levels(whole):
        first = score_level(whole, level, len(GROUPS), question.group_of)
        again = score_level(resumed, level, len(GROUPS), question.group_of)
        np.testing.assert_array_equal(first.pulls, again.pulls)
    third = LinearModel(5)
    ask(third, question, tmp_path / "killed")
    assert third.asked == 0
    assert already_answered(question, tmp_path / "killed") == question.forward_passes


class Listening(LinearModel):
    """Keeps what it was asked: the images and patterns of every request."""

    def __init__(self, seed) -> None:
        super().__init__(seed)
        self.heard = []

    def answer(self, name, indices, mark=None):
        self.heard.append((name, indices.copy(), mark))
        return super().answer(name, indices, mark)


def pairs_of(model):
    """(image, pattern) of every marked question in the order of asking."""
    marked = [(indices, mark) for _, indices, mark in model.heard if mark is not None]
    return [(int(i), p.tobytes()) for indices, mark in marked for i, p in zip(indices, mark.patterns, strict=True)]


def test_marked_probes_go_out_in_a_keyed_shuffle_across_patterns(tmp_path):
    secret, wrong = make_secret(1), make_secret(2)
    question, model = make_question(secret, probes=300, wrong=wrong), Listening(5)
    ask(model, question, tmp_path / "one")
    pairs = pairs_of(model)
    patterns = [pattern.tobytes() for pattern in (*secret.patterns, *wrong.patterns)]
    assert sorted(pairs) == sorted((i, pattern) for i in range(300) for pattern in patterns)
    for _, indices, mark in model.heard:
        if mark is not None:
            assert len(indices) <= 256
            assert len({pattern.tobytes() for pattern in mark.patterns}) > 6
    again, other = Listening(5), Listening(5)
    ask(again, question, tmp_path / "again")
    ask(other, make_question(make_secret(3), probes=300, wrong=wrong), tmp_path / "other")
    assert pairs_of(again) == pairs
    assert [i for i, _ in pairs_of(other)] != [i for i, _ in pairs]


def test_shuffled_answers_are_those_of_asking_in_order(tmp_path):
    secret = make_secret(1)
    question, model = make_question(secret, probes=300), LinearModel(5)
    answers = ask(model, question, tmp_path)
    for pattern in range(6):
        mark = AppliedMark(question.marks.settings_json, secret.patterns[[pattern]], question.marks.placements)
        given = model.answer("probes", np.arange(300), mark)
        np.testing.assert_allclose(answers.read(f"key-{pattern:03d}", "features"), given.features, atol=1e-4)
    assert not list(tmp_path.glob("mixed-*"))


def test_two_workers_may_ask_the_same_at_once(tmp_path):
    question = make_question(make_secret(1), probes=120)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: ask(LinearModel(5), question, tmp_path), range(4)))
    alone = ask(LinearModel(5), question, tmp_path.with_name("alone"))
    for answers in found:
        np.testing.assert_array_equal(answers.read("key-003", "soft"), alone.read("key-003", "soft"))
    assert already_answered(question, tmp_path) == question.forward_passes


def test_answers_to_another_question_are_not_taken(tmp_path):
    ask(LinearModel(5), make_question(make_secret(1)), tmp_path)
    with pytest.raises(MeasuringError, match="belong to other images or marks"):
        ask(LinearModel(5), make_question(make_secret(3)), tmp_path)


class Watching(LinearModel):
    """Looks at the folder of answers whenever it is asked."""

    def __init__(self, seed, folder) -> None:
        super().__init__(seed)
        self.folder, self.stored = folder, []

    def answer(self, name, indices, mark=None):
        self.stored.append(len(list(self.folder.glob("*.done"))))
        return super().answer(name, indices, mark)


def test_at_most_two_blocks_are_not_on_disk_yet_when_the_next_is_asked_about(tmp_path):
    question, model = make_question(make_secret(1), probes=240), Watching(5, tmp_path)
    ask(model, question, tmp_path)
    assert len(model.stored) == 8
    assert all(number - 2 <= stored <= number for number, stored in enumerate(model.stored))


@pytest.mark.parametrize("stem", ["groups.0000", "mixed-key-000-key-005.0000.0001", "key-005.0000"])
def test_an_answer_that_cannot_be_stored_is_told(tmp_path, stem):
    question = make_question(make_secret(1), probes=120)
    (tmp_path / f"{stem}.features.npy").mkdir()  # a file cannot take its place
    with pytest.raises(OSError, match="features"):
        ask(LinearModel(5), question, tmp_path)


class Refusing(LinearModel):
    """Leaves some probes unanswered, by a rule that cannot see the key."""

    def answer(self, name, indices, mark=None):
        given = super().answer(name, indices, mark)
        given.features[::5] = np.nan
        given.soft[::5] = np.nan
        return given


def test_missing_answers_are_counted_and_never_fail_the_test(tmp_path):
    secret = make_secret(1)
    question = make_question(secret)
    answers = ask(Refusing(5, secret=secret, strength=0.6), question, tmp_path)
    scores, reasons = score_levels(answers, len(GROUPS), question.group_of)
    assert reasons == {}
    for level_scores in scores.values():
        assert level_scores.missing == 7 * 6 + 10
        assert np.isfinite(level_scores.pulls).all()
    assert judged(answers, question, secret).p <= 0.01


class Constant(LinearModel):
    def answer(self, name, indices, mark=None):
        return Given(np.ones((len(indices), 4), np.float32), np.full((len(indices), 3), 1 / 3, np.float32))


def test_a_constant_model_gives_a_reason_at_features_and_p_one_at_labels(tmp_path):
    secret = make_secret(1)
    question = make_question(secret)
    scores, reasons = score_levels(ask(Constant(1), question, tmp_path), len(GROUPS), question.group_of)
    assert set(scores) == {"soft", "hard"}
    assert "same features" in reasons["features"]
    for level in scores:
        assert judge_level(level, scores[level], {}, Secrets(secret.assignment), RULES, "r1").p == 1


class LabelsOnly(LinearModel):
    def answer(self, name, indices, mark=None):
        given = super().answer(name, indices, mark)
        return Given(None, None, given.soft.argmax(axis=1))


def test_hard_labels_alone_say_what_those_of_soft_labels_say(tmp_path):
    secret = make_secret(1)
    question = make_question(secret)
    whole = ask(LinearModel(5, secret=secret, strength=0.6), question, tmp_path / "whole")
    labels = ask(LabelsOnly(5, secret=secret, strength=0.6), question, tmp_path / "labels")
    assert available_levels(labels) == ("hard",)
    one, other = (score_level(a, "hard", len(GROUPS), question.group_of) for a in (whole, labels))
    np.testing.assert_allclose(one.pulls, other.pulls)


class Broken(LinearModel):
    def answer(self, name, indices, mark=None):
        given = super().answer(name, indices, mark)
        given.features[0, 0] = np.inf
        return given


def test_broken_answers_end_with_a_sentence(tmp_path):
    question = make_question(make_secret(1))
    answers = ask(Broken(1), question, tmp_path)
    with pytest.raises(DensityError, match="no finite numbers"):
        score_level(answers, "features", len(GROUPS), question.group_of)


def test_references_are_tested_themselves_at_both_tails(tmp_path):
    secret = make_secret(1)
    question = make_question(secret)
    group_of, names = question.group_of, len(GROUPS)
    suspect = ask(LinearModel(5, secret=secret, strength=0.6), question, tmp_path / "suspect")
    honest = {
        f"clean {seed}": score_level(
            ask(LinearModel(seed), question, tmp_path / str(seed)), "features", names, group_of
        )
        for seed in (11, 12)
    }
    rules = Rules("cd" * 32, "features", 0.01, 1000, decide_with_references=True)
    result = judged(suspect, question, secret, honest, rules=rules)
    assert result.p == result.p_with <= 0.01
    assert {control.kind for control in result.controls} == {"reference", "reference left out"}
    assert len(result.controls) == 6
    assert result.tainted == ()
    assert conclude(result, CorrectedP(result.p, result.smallest_p), rules)[0] == "evidence"
    only = {"clean 11": honest["clean 11"]}
    result = judged(suspect, question, secret, only, rules=rules)
    assert [control.kind for control in result.controls] == ["reference", "reference"]

    opposite = ask(LinearModel(13, secret=secret, strength=-0.6), question, tmp_path / "opposite")
    rigged = honest | {"rigged": score_level(opposite, "features", names, group_of)}
    result = judged(suspect, question, secret, rigged, rules=rules)
    assert result.tainted == ("rigged",)
    conclusion, reasons = conclude(result, CorrectedP(1e-6, 1e-6), rules)
    assert conclusion == "inconclusive"
    assert "rigged" in reasons[0]


def test_permutations_follow_from_the_plan_and_the_nonce_of_its_run():
    """Drawn anew for every run, so nobody can lock many plans and run the one whose draw is lucky."""
    rng = np.random.default_rng(4)
    pulls = rng.normal(size=(10, 10)) + 0.5 * np.eye(10)
    scores = LevelScores(pulls, (DensityScores(0.0, 0.0, 0.0, 0.0),) * 10, rng.normal(size=(10, 10)), 0)
    secrets = Secrets(np.arange(10), np.roll(np.arange(10), 1))

    def judged_by(rules):
        return judge_level("soft", scores, {}, secrets, rules, "release").without.counts

    first = replace(RULES, nonce="0f" * 32)
    assert judged_by(first) == judged_by(first)
    others = [judged_by(rules) for rules in (RULES, replace(RULES, nonce="f0" * 32), replace(first, digest="cd" * 32))]
    assert judged_by(first) not in others


def outcome(p, p_with=None, smallest=1e-6, wrong=0.5):
    control = Control("A wrong key", "wrong key", "high", wrong)
    return CombinedLevel(
        p=p,
        p_without=p,
        p_with=p_with,
        smallest_p=smallest,
        without=combine([p]),
        with_references=None,
        controls=(control,),
        tainted=(),
        missing=0,
    )


@pytest.mark.parametrize(
    ("result", "corrected", "expected", "reason"),
    [
        (outcome(0.001), CorrectedP(0.002, 2e-6), "evidence", ""),
        (outcome(0.5), CorrectedP(0.5, 2e-6), "no_evidence", ""),
        (outcome(0.004), CorrectedP(0.02, 5e-6), "inconclusive", "corrected"),
        (outcome(0.3, p_with=0.001), CorrectedP(0.3, 1e-6, 0.001), "inconclusive", "with references reaches"),
        (outcome(0.3, p_with=0.006), CorrectedP(0.6, 2e-6, 0.012), "no_evidence", ""),
        (outcome(0.5, smallest=0.04), CorrectedP(0.5, 0.04), "inconclusive", "could not reach"),
        (outcome(0.5, smallest=0.006), CorrectedP(1.0, 0.012), "inconclusive", "once corrected for all tests made"),
        (outcome(0.001, wrong=0.001), CorrectedP(0.001, 1e-6), "inconclusive", "wrong key"),
    ],
)
def test_conclusions(result, corrected, expected, reason):
    conclusion, reasons = conclude(result, corrected, RULES)
    assert conclusion == expected
    assert reason in " ".join(reasons)
    text = sentence(conclusion, "encoder", ["Acme"]).lower()
    assert "infring" not in text
    assert "depend on the secret key" in text


def test_questions_that_make_no_sense_are_refused():
    question = make_question(make_secret(1))
    with pytest.raises(MeasuringError, match="two probes"):
        Question("x", question.probes[:1], question.group_images, question.group_of, question.marks)
    with pytest.raises(MeasuringError, match="place"):
        Question("x", question.probes[:5], question.group_images, question.group_of, question.marks)
    with pytest.raises(MeasuringError, match="its group"):
        Question("x", question.probes, question.group_images[:5], question.group_of, question.marks)
