"""Restricted permutations: the same answers as the free test where nothing is restricted, and the size where it is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.permutation import PermutationError, permutation_test, philox_from
from audits.statistics.restricted import restricted_residual, restricted_test
from provenance.marks.restriction import Restriction, RestrictionError, blocks_by_size

pytestmark = pytest.mark.long

seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def null_model(generator: np.random.Generator, groups: int) -> np.ndarray:
    """Heavy-tailed pulls with strong effects of patterns and groups, and of what large groups do to all patterns."""
    factors = generator.standard_t(2, size=(groups, 2)) @ generator.normal(size=(2, groups))
    return factors + generator.normal(size=(groups, 1)) * 5 + generator.normal(size=(1, groups)) * 5


@given(seeds, st.integers(2, 6), st.integers(0, 1))
@settings(max_examples=40, deadline=None)
def test_one_block_without_bans_is_the_free_test(seed, groups, references):
    generator = rng(seed)
    references = references if groups > 2 else 0
    tables = [generator.normal(size=(groups, groups)) for _ in range(references + 1)]
    true = generator.permutation(groups)
    free = permutation_test(tables[0], true, 1, generator, tables[1:])
    restricted = restricted_test(tables[0], true, Restriction.within([0] * groups), 1, generator, tables[1:])
    assert restricted.statistic == pytest.approx(free.statistic, abs=1e-9)
    assert restricted.z == pytest.approx(free.z, abs=1e-6)
    assert (restricted.p, restricted.p_lower, restricted.permutations) == (free.p, free.p_lower, free.permutations)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_enumeration_agrees_with_the_definition(seed):
    generator = rng(seed)
    blocks = (0, 1, 0, 1, 0, 2)
    allowed = generator.uniform(size=(6, 6)) < 0.8
    np.fill_diagonal(allowed, True)
    restriction = Restriction.within(blocks, allowed)
    matrix, true = generator.normal(size=(6, 6)), np.arange(6)
    possible = [
        pi
        for pi in itertools.permutations(range(6))
        if all(blocks[j] == blocks[g] and allowed[j, g] for j, g in enumerate(pi))
    ]
    every = [sum(matrix[j, g] for j, g in enumerate(pi)) for pi in possible]
    statistic = sum(matrix[j, g] for j, g in enumerate(true))
    result = restricted_test(matrix, true, restriction, 1, generator)
    assert result.exact
    assert result.permutations == restriction.possible() == len(possible) == result.counts.sum()
    assert result.p == pytest.approx(np.mean([s >= statistic - 1e-9 for s in every]))
    assert result.p_lower == pytest.approx(np.mean([s <= statistic + 1e-9 for s in every]))
    assert result.smallest_p == pytest.approx(1 / len(possible))


@pytest.mark.parametrize("references", [0, 2])
@pytest.mark.parametrize("groups", [8, 16])
def test_null_models_are_rejected_no_more_often_than_alpha(groups, references):
    """Enumerated at 8 groups in two blocks (576), random at 16 groups in two blocks with some pairs forbidden."""
    generator, trials, rejections = rng(groups + references), 800, 0
    blocks = [0, 1] * (groups // 2)
    allowed = None
    if groups == 16:
        allowed = np.ones((16, 16), dtype=bool)
        allowed[0, 0] = allowed[3, 5] = allowed[3, 7] = False
    restriction = Restriction.within(blocks, allowed)
    shared = null_model(generator, groups)
    shared[np.equal.outer(blocks, blocks)] += 3  # what a free permutation would mistake for evidence
    for _ in range(trials):
        others = [shared + null_model(generator, groups) for _ in range(references)]
        true = restriction.draw(1, generator)[0]
        result = restricted_test(shared + null_model(generator, groups), true, restriction, 399, generator, others)
        assert result.exact == (groups == 8)
        rejections += result.p <= 0.05
    low, high = stats.binom.interval(0.99, trials, 0.05)
    assert low <= rejections <= high


def test_the_free_test_would_be_wrong_where_blocks_matter():
    """Patterns that could only mark groups of their block pull to that block in a model that never saw the mark."""
    generator, blocks = rng(1), [0] * 4 + [1] * 3
    restriction = Restriction.within(blocks)
    free = restricted = 0
    for _ in range(200):
        innocent = np.equal.outer(blocks, blocks) + generator.normal(size=(7, 7)) * 0.2
        true = restriction.draw(1, generator)[0]
        free += permutation_test(innocent, true, 1, generator).p <= 0.05
        restricted += restricted_test(innocent, true, restriction, 1, generator).p <= 0.05
    assert free > 150
    assert restricted <= stats.binom.interval(0.99, 200, 0.05)[1]


def test_draws_are_uniform_over_what_is_allowed_and_repeatable():
    allowed = ~np.eye(4, dtype=bool)  # the nine derangements of four
    restriction = Restriction.within([0] * 4, allowed)
    drawn = restriction.draw(9000, philox_from("d", "draws"))
    seen, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(seen) == restriction.possible() == 9
    assert stats.chisquare(counts).pvalue > 1e-3
    assert np.array_equal(drawn, restriction.draw(9000, philox_from("d", "draws")))
    assert (seen != np.arange(4)).all()


def test_patterns_and_groups_may_be_blocked_in_different_places():
    restriction = Restriction((0, 0, 1, 1), (1, 0, 1, 0))
    assert restriction.possible() == 4
    for row in restriction.draw(50, rng(2)):
        assert set(row[:2].tolist()) == {1, 3}
    result = restricted_test(np.eye(4)[[1, 3, 0, 2]], np.array([1, 3, 0, 2]), restriction, 1, rng())
    assert result.p == result.smallest_p == 0.25


def test_a_learned_assignment_reaches_the_smallest_p_within_blocks():
    restriction = Restriction.within([0] * 5 + [1] * 5)
    true = restriction.draw(1, rng(3))[0]
    matrix = rng(4).normal(size=(10, 10)) * 0.01
    matrix[np.arange(10), true] += 1
    result = restricted_test(matrix, true, restriction, 1, rng())
    assert result.exact
    assert result.p == result.smallest_p == pytest.approx(1 / math.factorial(5) ** 2)
    wide = restricted_test(np.eye(24), np.arange(24), Restriction.within([0] * 12 + [1] * 12), 999, rng())
    assert wide.p == wide.smallest_p == 0.001
    assert not wide.exact


def test_a_suspect_that_equals_a_reference_shows_nothing_beyond_it():
    restriction = Restriction.within([0] * 4 + [1] * 4)
    matrix = rng(4).normal(size=(8, 8)) + np.eye(8) * 10
    assert restricted_test(matrix, np.arange(8), restriction, 1, rng()).p == pytest.approx(1 / 576)
    assert restricted_test(matrix, np.arange(8), restriction, 1, rng(), [matrix * 2 + 3]).p == 1
    assert restricted_test(np.full((8, 8), 0.1), np.arange(8), restriction, 1, rng()).p == 1


def test_references_are_regressed_within_the_cells_that_count():
    restriction = Restriction.within([0, 0, 0, 1, 1, 1])
    reference = rng(1).normal(size=(6, 6))
    residual = restricted_residual(reference * 2 + rng(2).normal(size=(6, 6)), restriction, [reference])
    assert (residual[~restriction.cells] == 0).all()
    kept = restricted_residual(reference, restriction)
    assert (residual * kept).sum() == pytest.approx(0, abs=1e-9)
    assert residual.sum(axis=0) == pytest.approx(0, abs=1e-9)
    assert residual.sum(axis=1) == pytest.approx(0, abs=1e-9)


def test_groups_of_like_size_share_a_block():
    assert blocks_by_size([100, 30, 55, 110, 12, 200]) == (2, 1, 1, 2, 0, 2)
    assert blocks_by_size([50] * 4) == (0, 0, 0, 0)
    assert blocks_by_size([10, 11], factor=1) == (0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Restriction((0, 0, 1), (0, 1, 1)), "as many patterns"),
        (lambda: Restriction.within([0, 0], np.zeros((2, 2), dtype=bool)), "No assignment"),
        (lambda: Restriction.within([0, 0], np.zeros((3, 2), dtype=bool)), "every pattern"),
        (lambda: restricted_test(np.eye(4), np.arange(4), Restriction.within([0, 0, 1]), 1, rng()), "square"),
        (lambda: restricted_test(np.eye(2), np.array([1, 0]), Restriction.within([0, 1]), 1, rng()), "settings allow"),
        (lambda: restricted_test(np.eye(2), np.array([1, 1]), Restriction.within([0, 0]), 1, rng()), "exactly once"),
        (lambda: restricted_test(np.eye(12), np.arange(12), Restriction.within([0] * 12), 0, rng()), "permutations"),
        (lambda: Restriction.within([0] * 12, np.eye(12, dtype=bool)).draw(1, rng()), "Too much"),
        (lambda: blocks_by_size([]), "counts"),
        (lambda: blocks_by_size([1, 2], float("nan")), "factor"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, message):
    with pytest.raises((PermutationError, RestrictionError), match=message):
        call()
