"""The rank test among decoy keys: closed form against definition, its size with and without the stop, its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.density import DensityScores
from audits.statistics.ranktest import (
    RankResult,
    RankTestError,
    StoppingRule,
    decoy_key,
    distances,
    fewest_decoys,
    rank_test,
    reference_control,
    sequential_rank_test,
    steady_scores,
)

pytestmark = pytest.mark.long

seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def naive_distance(rows: np.ndarray, k: int) -> float:
    others = np.delete(rows, k, axis=0)
    shift = rows[k] - others.mean(axis=0)
    return float(shift @ np.linalg.pinv(np.cov(others, rowvar=False).reshape(rows.shape[1], -1)) @ shift)


def null_keys(generator: np.random.Generator, keys: int, references: int) -> list[np.ndarray]:
    """Scores of suspect and references: heavy-tailed, dependent, with much in common, ignorant of the true key."""
    common = generator.standard_t(3, size=(keys, 3)) @ generator.normal(size=(3, 3))
    return [common + generator.standard_t(2, size=(keys, 3)) for _ in range(references + 1)]


@given(seeds, st.integers(6, 30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_the_closed_form_is_leaving_one_out(seed, keys, scores):
    rows = rng(seed).normal(size=(keys, scores)) @ rng(seed + 1).normal(size=(scores, scores)) + 5
    found = distances(rows)
    assert found == pytest.approx([naive_distance(rows, k) for k in range(keys)], rel=1e-5)


@given(seeds, st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_units_and_order_of_decoys_do_not_matter(seed, references):
    generator = rng(seed)
    tables = null_keys(generator, 25, references)
    order = np.concatenate([[0], 1 + generator.permutation(24)])
    scale, offset = generator.uniform(0.5, 3, 3) * generator.choice([-1, 1], 3), generator.normal(size=3)
    before = rank_test(tables[0], tables[1:])
    after = rank_test((tables[0] * scale + offset)[order], [(table * 7 - 2)[order] for table in tables[1:]])
    assert after.statistic == pytest.approx(before.statistic, rel=1e-6)
    assert (after.p, after.p_lower) == (before.p, before.p_lower)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_every_key_gets_its_own_rank(seed):
    """Over all choices of the true key the p-values are 1/K, 2/K, … 1: the test is exact for any model."""
    table = null_keys(rng(seed), 20, 0)[0]
    p_values = [rank_test(np.roll(table, -k, axis=0)).p for k in range(20)]
    assert np.sort(p_values) == pytest.approx(np.arange(1, 21) / 20)


@pytest.mark.parametrize("references", [0, 2])
@pytest.mark.parametrize("rule", [StoppingRule(59), StoppingRule(59, block=10, exceedances=2)])
def test_null_models_are_rejected_no_more_often_than_alpha(references, rule):
    generator, trials = rng(references + rule.block), 1500
    rejections = dict.fromkeys((0.05, 0.1, 0.2, 0.5), 0)
    asked = 0
    for _ in range(trials):
        tables = null_keys(generator, 60, references)
        result = sequential_rank_test(tables[0], rule, tables[1:])
        asked += result.decoys
        for alpha in rejections:
            rejections[alpha] += result.p <= alpha
    for alpha, count in rejections.items():
        low, high = stats.binom.interval(0.99, trials, alpha)
        assert count <= high
        if not rule.block:
            assert count >= low
    if rule.block:
        assert asked / trials < 40  # innocents cost little
    else:
        assert asked == 59 * trials


def test_the_stop_may_be_tight_where_blocks_are_small():
    """Looking after every decoy with a large h costs hardly any power: half of all p still lie below a half."""
    generator, trials = rng(5), 1500
    rule = StoppingRule(40, block=1, exceedances=12)
    p_values = [sequential_rank_test(generator.normal(size=(41, 3)), rule).p for _ in range(trials)]
    for alpha in (0.05, 0.25, 0.5):
        assert sum(p <= alpha for p in p_values) <= stats.binom.interval(0.99, trials, alpha)[1]
    assert np.mean(np.array(p_values) <= 0.25) > 0.15


def test_ties_count_against_the_claimant():
    generator, trials, rejections = rng(8), 1500, 0
    for _ in range(trials):
        coarse = generator.integers(0, 2, size=(40, 3)).astype(float)
        rejections += rank_test(coarse).p <= 0.05
    assert rejections <= stats.binom.interval(0.99, trials, 0.05)[1]
    assert rank_test(np.ones((20, 3))).p == 1
    twins = np.repeat(generator.normal(size=(10, 3)), 2, axis=0)
    result = rank_test(twins)
    assert result.exceedances >= 1
    assert result.p + result.p_lower == pytest.approx(1 + 2 / 20)  # the twin and the true key count at both tails


def test_a_true_key_that_stands_out_is_found_in_either_direction():
    for sign in (-1, 1):
        table = rng(2).normal(size=(100, 3))
        table[0] = [0, 0, sign * 9]
        result = sequential_rank_test(table, StoppingRule(99, block=20, exceedances=3))
        assert result.p == result.smallest_p == 0.01
        assert (result.decoys, result.stopped, result.p_lower) == (99, False, 1)
        assert result.distances.argmax() == 0


def test_only_the_true_key_moves_the_model():
    """All decoys alike: the others have no spread at all, and the true key is infinitely far from them."""
    table = np.zeros((30, 3))
    table[0, 1] = 0.2
    result = rank_test(table)
    assert np.isinf(result.statistic)
    assert result.p == pytest.approx(1 / 30)
    assert rank_test(np.roll(table, 1, axis=0)).p == 1


def test_repeated_and_constant_scores_add_nothing():
    table = rng(3).normal(size=(40, 2))
    wider = np.column_stack([table, table[:, 0] * 3 - 1, np.full(40, 7.0)])
    assert distances(wider) == pytest.approx(distances(table))
    assert rank_test(wider).p == rank_test(table).p


def test_reference_control_uncovers_a_weak_trace():
    generator = rng(4)
    common = generator.normal(size=(100, 3)) * 3
    suspect = common + generator.normal(size=(100, 3)) * 0.1
    suspect[0, 2] += 1
    references = [common + generator.normal(size=(100, 3)) * 0.1 for _ in range(3)]
    assert rank_test(suspect).p > 0.05
    assert rank_test(suspect, references).p == 0.01
    residuals = reference_control(suspect, references)
    for reference in references:
        centred = reference - reference.mean(axis=0)
        assert np.einsum("ks,ks->s", residuals, centred) == pytest.approx(0, abs=1e-8)


def test_a_suspect_that_equals_a_reference_shows_nothing_beyond_it():
    table = rng(6).normal(size=(50, 3))
    table[0] += 20
    assert rank_test(table).p == pytest.approx(0.02)
    assert rank_test(table, [table * 2 + 1, rng(7).normal(size=(50, 3))]).p == 1


def test_steady_scores_take_what_densities_can_be():
    calm = steady_scores(DensityScores(gain=0.0, divergence=-1e-4, displacement=0.0, coherence=-0.1))
    assert calm == pytest.approx([np.log(1e-3), 0.5 * np.log(1e-6), np.log(0.02)])
    moved = steady_scores(DensityScores(gain=0.1, divergence=0.04, displacement=0.5, coherence=0.3))
    assert moved == pytest.approx([np.log(0.501), 0.5 * np.log(0.040001), np.log(0.32)])


def test_decoys_follow_from_plan_and_nonce_alone():
    digest, nonce = "ab" * 32, b"n" * 32
    assert decoy_key(digest, nonce, 0) == decoy_key(digest, nonce, 0)
    drawn = {decoy_key(digest, nonce, i) for i in range(50)}
    drawn |= {decoy_key("cd" * 32, nonce, 0), decoy_key(digest, b"m" * 32, 0)}
    assert len(drawn) == 52
    assert all(len(key) == 32 for key in drawn)


def test_a_job_may_look_block_by_block():
    table = rng(12).normal(size=(121, 3))
    rule = StoppingRule(120, block=20, exceedances=4)
    whole = sequential_rank_test(table, rule)
    for decoys in rule.looks():
        partial = sequential_rank_test(table[: decoys + 1], rule)
        if rule.ends(partial):
            break
    assert (partial.p, partial.decoys, partial.looks) == (whole.p, whole.decoys, whole.looks)
    assert rule.looks() == (20, 40, 60, 80, 100, 120)
    assert StoppingRule(50, block=5, exceedances=2).looks(3, 2) == (15, 20, 25, 30, 35, 40, 45, 50)


def test_every_level_stops_by_its_own_count():
    """Asking goes on while one level is undecided; what another level said at its own stop stays."""
    generator = rng(21)
    plain, marked = generator.normal(size=(121, 3)), generator.normal(size=(121, 3))
    plain[0], marked[0] = 0, 8
    rule = StoppingRule(120, block=20, exceedances=4)
    asked, history = 0, []
    results: list[RankResult] = []
    while (look := rule.next_look(asked, results)) is not None:
        asked = look
        results = [sequential_rank_test(table[: asked + 1], rule) for table in (plain, marked)]
        history.append(results[0])
    assert asked == 120
    assert results[0].decoys == 20
    assert {(result.p, result.decoys) for result in history} == {(results[0].p, 20)}
    assert results[1].p == rule.smallest_p
    assert rule.next_look(20, results[:1]) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_test(np.zeros(5)), "table"),
        (lambda: rank_test(np.full((20, 3), np.inf)), "finite"),
        (lambda: rank_test(np.zeros((fewest_decoys(3, 0), 3))), "at least 5"),
        (lambda: rank_test(np.zeros((20, 3)), [np.zeros((19, 3))]), "other keys"),
        (lambda: sequential_rank_test(np.zeros((20, 3)), StoppingRule(18)), "allows 18"),
        (lambda: sequential_rank_test(np.zeros((9, 3)), StoppingRule(18)), "No look"),
        (lambda: StoppingRule(0), "Choose between"),
        (lambda: StoppingRule(50, block=10), "both"),
        (lambda: StoppingRule(50, exceedances=3), "both"),
    ],
)
def test_what_cannot_be_ranked_is_refused(call, message):
    with pytest.raises(RankTestError, match=message):
        call()
