"""The test of keyed choices where a block is one picture in two versions: all but alike, whatever is taken out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audits.judging.choices import Choices, judge_choice
from audits.judging.membership import MembershipScores
from audits.other_tests import sequential_rank, views_within_blocks
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from audits.statistics.permutation import philox_from
from tests.audits.builders_choices import alternatives, choice_of
from tests.audits.judging.test_choices import RULES, concluded

PICTURES = 80
KEYS = 400


def versions(step: int = 3) -> np.ndarray:
    """(2 B, 16, 16, 3) uint8: a smooth pattern of each picture's own, added and taken away."""
    sources = np.clip(alternatives(PICTURES).astype(int), step, 255 - step)
    waves = np.cos(np.linspace(0, 2 * np.pi, 16)[None] + np.arange(PICTURES)[:, None])
    pattern = np.rint(step * waves).astype(int)[:, :, None, None]
    pairs = np.stack([sources + pattern, sources - pattern], axis=1)
    return pairs.reshape(2 * PICTURES, 16, 16, 3).astype(np.uint8)


COVARIATES = picture_covariates([versions()])


def scores(seed: int, apart: float = 1.0, known: Blocks | None = None) -> MembershipScores:
    """Mostly of the picture; by `apart` of the version; and by a little more of the published one, if any is known."""
    rng = np.random.default_rng(seed)
    pictures = np.repeat(np.random.default_rng(7).normal(size=PICTURES), 2)
    found = pictures + 1e-4 * apart * rng.standard_exponential(2 * PICTURES)
    if known is not None:
        found[np.setdiff1d(np.arange(2 * PICTURES), known.home)] += 1e-4
    return MembershipScores({"density": found}, 0)


def judged(own: MembershipScores, choice: Blocks, covariates: np.ndarray = COVARIATES, *others: MembershipScores):
    named = {f"reference {number}": one for number, one in enumerate(others)}
    return judge_choice("features", own, named, Choices(choice, None, covariates), RULES, "r1")


@pytest.mark.parametrize("covariates", [COVARIATES, np.ones_like(COVARIATES)], ids=["of versions", "all alike"])
def test_p_of_a_model_that_knows_no_version_is_as_small_as_chance_says(covariates):
    """One model, many keys: its scores are skewed, and the test exact all the same."""
    own, other = scores(1), scores(2)
    p = np.array([judged(own, choice_of(PICTURES, 2, key), covariates, other).p_with for key in range(KEYS)])
    for limit in (0.05, 0.2, 0.5):
        expected, spread = KEYS * limit, np.sqrt(KEYS * limit * (1 - limit))
        assert abs((p <= limit).sum() - expected) < 4 * spread


def test_what_a_picture_shows_cancels_and_a_little_knowledge_is_found():
    choice = choice_of(PICTURES, 2)
    found = judged(scores(1, known=choice), choice, COVARIATES, scores(2))
    assert found.p < 1e-6
    assert found.p_with < 1e-6
    assert not found.tainted
    assert found.smallest_p == pytest.approx(2.0**-PICTURES)


def test_versions_that_all_score_the_same_say_nothing():
    """As hard labels often are: no choice could be told from another, and the conclusion says so."""
    found = judged(scores(1, apart=0.0), choice_of(PICTURES, 2))
    assert (found.p, found.smallest_p) == (1.0, 1.0)
    assert concluded(found) == "inconclusive"
    rules = replace(RULES, score="omnibus")
    assert (
        judge_choice("hard", scores(1, 0.0), {}, Choices(choice_of(PICTURES, 2), None, COVARIATES), rules, "r").p == 1
    )


def test_other_tests_take_two_versions():
    choice = choice_of(PICTURES, 2)
    own, other = (one.scores["density"] for one in (scores(1, known=choice), scores(2)))
    ranked = sequential_rank(own, choice.block_of, choice.home, PICTURES, philox_from("ab" * 32, "ranks"))
    assert ranked.nominal_p < 0.01
    t_test, wilcoxon = views_within_blocks(own, other[None], choice.block_of, choice.home)
    assert max(t_test.nominal_p, wilcoxon.nominal_p) < 1e-4
    assert "blocks of two" in wilcoxon.disclaimer
    still = scores(1, apart=0.0).scores["density"]
    alike = sequential_rank(still, choice.block_of, choice.home, PICTURES, philox_from("ab" * 32, "ranks"))
    assert alike.nominal_p > 0.01
    assert all(one.nominal_p == 1 for one in views_within_blocks(still, still[None], choice.block_of, choice.home))
