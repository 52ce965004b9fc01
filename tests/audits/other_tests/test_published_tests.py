"""The published tests of others: known answers, what they find, and that each says it has no exact error rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audits.other_tests import (
    DISCLAIMER,
    OtherTestError,
    Verdict,
    gmm_likelihood,
    label_verdict,
    middle_label_verdict,
    paired_t,
    paired_verdicts,
    paired_wilcoxon,
    random_views,
    target_label_wilcoxon,
    view_consistency,
)
from audits.other_tests.views import relationships


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def views(generator: np.random.Generator, noise: float, images: int = 40) -> np.ndarray:
    centres = generator.normal(size=(images, 1, 12))
    return centres + noise * generator.normal(size=(images, 4, 12))


def every_verdict() -> list[Verdict]:
    generator = rng()
    scores = generator.normal(size=(2, 30))
    features = generator.normal(size=(40, 6))
    tables = [views(generator, 0.3) for _ in range(4)]
    return [
        paired_t(*scores),
        paired_t(scores[0], scores[1], margin=0.2),
        paired_wilcoxon(*scores),
        target_label_wilcoxon(generator.integers(0, 10, 30), 4),
        gmm_likelihood(features[:20], features[20:]),
        view_consistency(*tables),
    ]


def test_each_verdict_says_what_it_is_not():
    verdicts = every_verdict()
    assert len({verdict.test for verdict in verdicts}) == len(verdicts)
    for verdict in verdicts:
        assert verdict.disclaimer == DISCLAIMER
        assert "arXiv" in verdict.source
        assert 0 <= verdict.nominal_p <= 1
        assert verdict.samples >= 20
        assert verdict.disclaimer.startswith("No exact error rate")


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.sampled_from([0.0, 0.2]))
@settings(max_examples=40, deadline=None)
def test_the_paired_t_test_is_students(seed, images, margin):
    clean, marked = rng(seed).normal(size=(2, images))
    expected = stats.ttest_rel(clean + margin, marked, alternative="less")
    found = paired_t(clean, marked, margin)
    assert found.nominal_p == pytest.approx(expected.pvalue)
    assert found.statistic == pytest.approx(-expected.statistic)


def test_paired_tests_find_a_shift_and_accuse_an_innocent_that_leans_to_the_target():
    """An innocent model whose answers drift a little under any trigger: surely "guilty" with enough images."""
    generator = rng(1)
    clean = generator.uniform(0, 0.5, 500)
    marked = clean + 0.01 + generator.normal(0, 0.02, 500)
    assert paired_t(clean, marked).nominal_p < 1e-6
    assert paired_wilcoxon(clean, marked).nominal_p < 1e-6
    assert paired_t(clean, marked, margin=0.2).nominal_p > 0.99
    assert paired_t(marked, clean).nominal_p > 0.99
    assert paired_wilcoxon(clean, clean).nominal_p == 1


def test_differences_that_do_not_vary():
    same = np.full(10, 0.3)
    assert paired_t(same, same).nominal_p == 1
    assert paired_t(same, same + 0.1).nominal_p == 0
    assert paired_t(same, same - 0.1).nominal_p == 1


def test_the_label_test_depends_on_how_classes_are_numbered():
    guilty = np.full(50, 3)
    assert target_label_wilcoxon(guilty, 3).nominal_p == 0
    scattered = rng(2).integers(0, 10, 200)
    assert target_label_wilcoxon(scattered, 0).nominal_p > 0.9  # all labels lie on one side of the target
    middle = target_label_wilcoxon(np.repeat([3, 5], 50), 4)  # never the target, yet balanced around it
    assert middle.nominal_p < 0.05
    assert middle.details["share with target label"] == 0


def test_a_release_is_judged_by_all_its_patterns_at_once():
    generator, assignment = rng(9), np.array([2, 0, 1])
    clean = generator.uniform(0, 0.4, (50, 3))
    marked = clean[None] + generator.normal(0, 0.01, (3, 50, 3))
    marked[np.arange(3), :, assignment] += 0.05
    t_test, ranks, margin = paired_verdicts(clean, marked, assignment, probabilities=True)
    assert t_test.samples == 150
    assert max(t_test.nominal_p, ranks.nominal_p) < 1e-6
    assert t_test.details["mean difference"] == pytest.approx(0.05, abs=0.005)
    assert margin.nominal_p > 0.99
    other = paired_verdicts(clean, marked, np.array([0, 1, 2]), probabilities=False)
    assert len(other) == 2
    assert other[0].nominal_p > 1e-3
    labels = np.array([[1] * 9, [2] * 9, [3] * 9])
    assert label_verdict(labels, np.array([7, 8, 1]), assignment).details["share with target label"] == 1


def test_likelihood_tells_sets_apart_that_differ_and_not_those_that_do_not():
    generator = rng(3)
    released = generator.normal(size=(120, 20))
    assert gmm_likelihood(released, generator.normal(size=(60, 20))).nominal_p > 0.01
    assert gmm_likelihood(released, generator.normal(size=(60, 20)) * 1.5).nominal_p < 1e-4
    again = [gmm_likelihood(released, released[:60], seed=5).nominal_p for _ in range(2)]
    assert again[0] == again[1]


def test_views_are_crops_of_their_image():
    images = np.zeros((3, 12, 16, 3), np.uint8)
    images[0], images[1, :, 8:] = 90, 200
    made = random_views(images, 5, rng(4))
    assert made.shape == (3, 5, 12, 16, 3)
    assert (made[0] == 90).all()  # a plain image stays plain in every view
    assert (made[2] == 0).all()
    assert len({made[1, v].tobytes() for v in range(5)}) > 1
    assert np.array_equal(made, random_views(images, 5, rng(4)))


def test_relationships_of_views():
    same = np.repeat(rng(5).normal(size=(6, 1, 8)), 3, axis=1)
    assert relationships(same) == pytest.approx(np.ones((6, 2)))
    noisy = relationships(views(rng(6), 1.0))
    assert (noisy[:, 0] < 0.9).all()
    assert (noisy[:, 1] < 1).all()
    unit = views(rng(7), 0.5, images=3)
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    pairs = [unit[1, v] @ unit[1, w] for v in range(4) for w in range(4) if v != w]
    assert relationships(unit)[1, 0] == pytest.approx(np.mean(pairs))


def test_view_consistency_finds_images_whose_views_were_pulled_together():
    generator = rng(8)
    shadow = [views(generator, 0.5), views(generator, 0.5)]
    assert view_consistency(views(generator, 0.2), views(generator, 0.5), *shadow).nominal_p < 1e-6
    assert view_consistency(views(generator, 0.5), views(generator, 0.2), *shadow).nominal_p > 0.99
    assert view_consistency(*shadow, *shadow).nominal_p == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_t(np.zeros(3), np.zeros(4)),
        lambda: paired_t(np.array([0.1]), np.array([0.2])),
        lambda: paired_wilcoxon(np.array([0.1, np.nan]), np.zeros(2)),
        lambda: target_label_wilcoxon(np.array([0.5, 1.0]), 1),
        lambda: paired_verdicts(np.zeros((5, 3)), np.zeros((3, 4, 3)), np.arange(3), False),
        lambda: gmm_likelihood(np.ones((10, 3)), np.ones((4, 3))),
        lambda: gmm_likelihood(rng().normal(size=(10, 3)), rng().normal(size=(4, 2))),
        lambda: relationships(np.zeros((5, 1, 3))),
        lambda: view_consistency(*[views(rng(), 1, n) for n in (5, 6, 5, 6)]),
        lambda: random_views(np.zeros((2, 4, 4), np.uint8), 3, rng()),
    ],
)
def test_what_cannot_be_verified_is_refused(call):
    with pytest.raises(OtherTestError):
        call()


def test_the_middle_pattern_stands_for_all_and_names_none():
    generator = rng(4)
    labels, group_label, assignment = generator.integers(0, 6, (5, 30)), np.arange(5), np.array([3, 0, 4, 1, 2])
    found = middle_label_verdict(labels, group_label, assignment)
    single = [target_label_wilcoxon(labels[j], int(assignment[j])) for j in range(5)]
    assert found.nominal_p == sorted(one.nominal_p for one in single)[2]
    assert found.samples == 150
    assert found.test != single[0].test  # another test, so it is calibrated by itself
    order = generator.permutation(5)
    renamed = middle_label_verdict(labels[order], group_label, assignment[order])
    assert renamed.nominal_p == found.nominal_p
    assert renamed.details == pytest.approx(found.details)


def test_rounding_is_no_difference_to_a_paired_test():
    clean = rng(5).uniform(0, 1, 200)
    marked = clean * (1 + 1e-16) + 1e-17
    marked[::2] = np.nextafter(clean[::2], 2)
    for verdict in (paired_t(clean, marked), paired_wilcoxon(clean, marked)):
        assert verdict.nominal_p == 1.0
