"""Propensity scores: they find what differs, nobody scores itself, and the numbers are whole and fixed."""

import numpy as np
import pytest

from provenance.embedding.propensity import FOLDS, Codes, CrossFitted, Trees
from provenance.inspection.auc import area

N = 400


def rows_of(seed: int, shift: float = 0.0) -> list[dict[str, float | str]]:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-1000, 1000, (N, 6)) / 1000
    numbers[:, 2] += shift
    return [{f"number {at}": float(value) for at, value in enumerate(own)} for own in numbers]


def auc_of(scores: np.ndarray, truth: list[bool]) -> float:
    return area(scores, np.array(truth)).auc


def cross_fitted(rows, truth) -> float:
    folds = np.random.default_rng(9).integers(0, FOLDS, len(rows)).tolist()
    trees = CrossFitted.learnt(rows, truth, folds)
    return auc_of(np.array([trees.ranks([row], fold)[0] for row, fold in zip(rows, folds, strict=True)]), truth)


TRUTH = [True] * N + [False] * N


def test_a_shifted_number_is_found():
    found = Trees.learnt(rows_of(1, 0.5) + rows_of(2), TRUTH).scores(rows_of(3, 0.5) + rows_of(4))
    assert auc_of(found, TRUTH) > 0.65


def test_trees_know_their_own_files_by_heart_and_cross_fitting_does_not():
    rows = rows_of(1) + rows_of(2)
    assert auc_of(Trees.learnt(rows, TRUTH).scores(rows), TRUTH) > 0.7
    assert cross_fitted(rows, TRUTH) < 0.55


def test_two_numbers_that_tell_only_together_are_found():
    rng = np.random.default_rng(5)
    sides = rng.integers(0, 2, (2 * N, 2))
    rows = [{"left": float(left), "right": float(right), "noise": float(rng.random())} for left, right in sides]
    truth = [bool(left ^ right) for left, right in sides]
    assert cross_fitted(rows, truth) > 0.95


@pytest.mark.parametrize("tell", ["a word", "a number that is lacking"])
def test_words_and_lacking_numbers_are_found(tell):
    rows = rows_of(1) + rows_of(2)
    for row in rows[: N // 2]:
        row.pop("number 1") if tell != "a word" else row.update(kind="own")
    for row in rows[N // 2 :] if tell == "a word" else ():
        row.update(kind="standard")
    assert cross_fitted(rows, TRUTH) > 0.7


def test_files_that_do_not_differ_have_no_score():
    rows = [{"number": 1.0, "word": "all"}] * (2 * N)
    assert not Trees.learnt(rows, TRUTH).scores(rows).any()


def test_what_machines_round_otherwise_changes_nothing():
    rows = rows_of(1, 0.4) + rows_of(2)
    nudged = [{name: float(np.nextafter(value, 9)) for name, value in row.items()} for row in rows]
    trees, others = Trees.learnt(rows, TRUTH), Trees.learnt(nudged, TRUTH)
    assert np.array_equal(trees.leaf, others.leaf)
    assert np.array_equal(trees.scores(rows), others.scores(nudged))


def test_scores_stay():
    """Which files a key marks hangs on them."""
    rows = rows_of(1, 0.4) + rows_of(2)
    found = Trees.learnt(rows, TRUTH).scores(rows[:5])
    assert found.dtype == np.int64
    assert found.tolist() == [-14596, 14016, 5528, 58655, 1016]


def test_codes_are_below_what_a_byte_holds_and_zero_is_for_what_is_lacking():
    rows = [{"a": float(at), "b": "x" if at % 2 else "y"} for at in range(500)]
    codes = Codes.of(rows)
    values = codes.matrix([*rows, {}])
    assert values[:-1].min() >= 1
    assert values[:-1].max() == 31
    assert values[-1].tolist() == [0, 0]
