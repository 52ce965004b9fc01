"""Intervals of rates against SciPy's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audits.statistics.binomial import clopper_pearson


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95, 0.99])
)
def test_intervals_are_those_of_clopper_and_pearson(counts, confidence):
    successes, trials = counts
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    assert clopper_pearson(successes, trials, confidence) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("wrong", [(3, 2, 0.95), (0, 0, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_what_is_no_count_is_refused(wrong):
    with pytest.raises(ValueError, match="no count"):
        clopper_pearson(*wrong)
