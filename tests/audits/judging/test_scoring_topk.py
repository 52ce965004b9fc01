"""Answers as they come from logs and interfaces: the likeliest few labels, one label, any number of features, none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.asking.measuring import measure
from audits.judging.assignments import Rules, Secrets, judge_level
from audits.judging.scoring import available_levels, score_level, score_levels
from audits.statistics.density import phi_soft
from tests.audits.builders_measuring import GROUPS, SIZE, Given, LinearModel, make_question, make_secret

RULES = Rules(digest="ab" * 32, level="soft", alpha=0.01, permutations=1000, decide_with_references=False)
SECRET = make_secret(1)
QUESTION = make_question(SECRET)


def top(soft: np.ndarray, count: int) -> np.ndarray:
    """Only the `count` largest probabilities of every row; zero elsewhere, as a log holds them."""
    order = np.argsort(-soft, axis=1, kind="stable")
    kept = np.zeros_like(soft)
    np.put_along_axis(kept, order[:, :count], np.take_along_axis(soft, order[:, :count], axis=1), axis=1)
    return kept


class TopLabels(LinearModel):
    """Says only its `shown` likeliest of `labels` classes."""

    def __init__(self, shown: int, strength: float = 0.6, labels: int = 20, seed: int = 5) -> None:
        super().__init__(seed, labels=labels, secret=SECRET, strength=strength)
        self.shown = shown

    def answer(self, name, indices, mark=None):
        return Given(None, top(super().answer(name, indices, mark).soft, self.shown))


class OneLabel(TopLabels):
    def answer(self, name, indices, mark=None):
        return Given(None, None, super().answer(name, indices, mark).soft.argmax(axis=1))


def scored(model, folder):
    answers = measure(QUESTION, folder, model, lambda images: None)
    scores, reasons = score_levels(answers, len(GROUPS), QUESTION.group_of)
    assert reasons == {}
    return scores


def p_of(scores, level: str) -> float:
    return judge_level(level, scores[level], {}, Secrets(SECRET.assignment), RULES, "r1").p


def test_three_of_twenty_labels_are_enough_to_find_a_trace_and_find_none_where_there_is_none(tmp_path):
    marked, clean = scored(TopLabels(3), tmp_path / "marked"), scored(TopLabels(3, 0.0, seed=6), tmp_path / "clean")
    assert set(marked) == {"soft", "hard"}
    for level in marked:
        assert p_of(marked, level) <= 0.01
        assert p_of(clean, level) > 0.01


def test_what_is_left_out_goes_into_one_bin_more():
    soft = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    phi = phi_soft(top(soft, 2))
    np.testing.assert_allclose(phi[:, -1] ** 2, [0.3, 0.5])
    np.testing.assert_allclose((phi**2).sum(axis=1), 1)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_all_labels_of_a_top_k_answer_are_the_full_answer(seed, labels, rows):
    soft = np.random.default_rng(seed).dirichlet(np.full(labels, 0.3), rows).astype(np.float32)
    np.testing.assert_array_equal(phi_soft(top(soft, labels)), phi_soft(soft))
    assert (phi_soft(top(soft, labels))[:, -1] == 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.data())
@settings(max_examples=60, deadline=None)
def test_every_top_k_answer_has_length_one_and_keeps_its_labels(seed, labels, data):
    soft = np.random.default_rng(seed).dirichlet(np.full(labels, 0.3), 5).astype(np.float32)
    shown = top(soft, data.draw(st.integers(1, labels)))
    phi = phi_soft(shown)
    np.testing.assert_allclose((phi**2).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(phi[:, :-1] > 0, shown > 0)


def test_a_measurement_of_all_labels_is_that_of_the_full_answers(tmp_path):
    whole = scored(LinearModel(5, labels=20, secret=SECRET, strength=0.6), tmp_path / "whole")
    listed = scored(TopLabels(20), tmp_path / "listed")
    for level in ("soft", "hard"):
        np.testing.assert_array_equal(whole[level].pulls, listed[level].pulls)
        assert whole[level].densities == listed[level].densities


def test_hard_labels_alone_reach_a_p(tmp_path):
    marked, clean = scored(OneLabel(20), tmp_path / "marked"), scored(OneLabel(20, 0.0, seed=6), tmp_path / "clean")
    assert set(marked) == {"hard"}
    assert p_of(marked, "hard") <= 0.01
    assert p_of(clean, "hard") > 0.01


class Features(LinearModel):
    """Features of any dimension: that many random projections of the pixels."""

    def __init__(self, dimension: int, strength: float) -> None:
        super().__init__(5, secret=SECRET, strength=strength)
        rng = np.random.default_rng(dimension)
        self.weights = rng.normal(size=(SIZE * SIZE * 3, dimension)) / SIZE
        self.head = rng.normal(size=(dimension, 7))

    def answer(self, name, indices, mark=None):
        return Given(super().answer(name, indices, mark).features, None)


@pytest.mark.parametrize("dimension", [1, 3, 4096])
def test_features_may_have_any_dimension(dimension, tmp_path):
    marked = scored(Features(dimension, 2.0), tmp_path / "marked")["features"]
    assert marked.pulls.shape == (len(GROUPS), len(GROUPS))
    assert np.isfinite(marked.pulls).all()
    assert all(np.isfinite(list(vars(density).values())).all() for density in marked.densities)
    result = judge_level("features", marked, {}, Secrets(SECRET.assignment), RULES, "r1")
    assert 0 < result.p <= (0.05 if dimension > 1 else 1)  # one number can hardly tell six groups apart
    clean = scored(Features(dimension, 0.0), tmp_path / "clean")["features"]
    assert judge_level("features", clean, {}, Secrets(SECRET.assignment), RULES, "r1").p > 0.01


@pytest.mark.parametrize("shown", [5, 1000])
def test_a_thousand_classes_against_a_few_groups_work_as_they_are(shown, tmp_path):
    """No names are matched: a pull is a density to the outputs of a group's images."""
    scores = scored(TopLabels(shown, labels=1000), tmp_path)
    for level in ("soft", "hard"):
        assert scores[level].pulls.shape == (len(GROUPS), len(GROUPS))
        assert p_of(scores, level) <= 0.01


class Silent(LinearModel):
    """Refuses every fifth marked probe, or answers it as it answers the clean one; probes only, never the groups."""

    def __init__(self, refuses: bool) -> None:
        super().__init__(5, labels=20, secret=SECRET, strength=0.6)
        self.refuses = refuses

    def answer(self, name, indices, mark=None):
        given = super().answer(name, indices, mark)
        if mark is not None:
            clean = super().answer(name, indices)
            for values, unmarked in ((given.features, clean.features), (given.soft, clean.soft)):
                values[::5] = np.nan if self.refuses else unmarked[::5]
        return given


class SilentLabels(Silent):
    """The same with hard labels only; a label that is missing is no number."""

    def answer(self, name, indices, mark=None):
        soft = super().answer(name, indices, mark).soft
        labels = np.where(np.isnan(soft).any(axis=1), np.nan, soft.argmax(axis=1)) if mark else soft.argmax(axis=1)
        return Given(None, None, labels.astype(np.float32))


@pytest.mark.parametrize("model", [Silent, SilentLabels])
def test_refused_answers_are_no_shift_at_every_level(model, tmp_path):
    refused, unmoved = scored(model(True), tmp_path / "refused"), scored(model(False), tmp_path / "unmoved")
    assert set(refused) == set(unmoved)
    for level, scores in refused.items():
        np.testing.assert_allclose(scores.pulls, unmoved[level].pulls, atol=1e-12)
        for one, other in zip(scores.densities, unmoved[level].densities, strict=True):
            np.testing.assert_allclose(list(vars(one).values()), list(vars(other).values()), atol=1e-7)
        assert scores.missing == len(GROUPS) * len(QUESTION.probes) // 5
        assert unmoved[level].missing == 0


def test_levels_that_were_not_given_are_not_scored(tmp_path):
    answers = measure(QUESTION, tmp_path, TopLabels(3), lambda images: None)
    assert available_levels(answers) == ("soft", "hard")
    assert score_level(answers, "soft", len(GROUPS), QUESTION.group_of).missing == 0
