"""Plain marks in a pilot: the true key is ranked among decoys."""

from dataclasses import replace

import numpy as np
import pytest

from audits.judging.levels import RankTest
from audits.pilots.pilot.auditing import Auditor
from audits.pilots.pilot.copies import strike
from audits.pilots.pilot.pool import counts_of, struck_in
from audits.pilots.pilot.settings import PilotError
from audits.pilots.pilot.summary import summaries
from audits.pilots.pilot.working import Work
from audits.suspects import Answers
from tests.audits.pilots.pilot import builders
from tests.audits.pilots.pilot.builders import IMAGES, PLAIN, TINY

pytestmark = [pytest.mark.suspect, pytest.mark.long]
SETTINGS = replace(TINY, proposals=(PLAIN,), variations=("task:merged",))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return builders.pool(tmp_path_factory.mktemp("version"), SETTINGS)


class Knowing:
    """Says what an image looks like, and something more to one pattern."""

    def __init__(self, seed, pattern=None) -> None:
        self._looks = np.random.default_rng(seed).normal(size=(3, 8))
        self._pattern, self._images = pattern, {}

    def load_images(self, name, images):
        self._images[name] = images / 255
        return len(images)

    def answer(self, name, indices, mark=None):
        features = self._images[name][indices].mean(axis=(1, 2)) @ self._looks
        if mark is not None:
            shifts = np.array([np.random.default_rng(list(one.tobytes())[:64]).normal(size=8) for one in mark.patterns])
            features = features + 0.01 * shifts
            if self._pattern is not None:
                features[:, 0] += [np.array_equal(one, self._pattern) for one in mark.patterns]
        return Answers(features.astype(np.float32), None, None)


@pytest.fixture
def copy(pool, tmp_path):
    scaled = struck_in(pool, PLAIN.struck, pool.counts[0])
    counts = counts_of(pool.entries, scaled.settings)
    key, beacon = (SETTINGS.drawn(what) for what in ("key", "beacon"))
    return strike(pool, scaled.settings, counts, key, beacon, probes=8, group_images=2, folder=tmp_path)


def test_a_plain_mark_counts_all_images_as_one_group(pool, copy):
    assert pool.counts == ((IMAGES,),)
    assert struck_in(pool, PLAIN.struck, pool.counts[0]).wanted == 12
    assert copy.looks.marked == 12
    assert (copy.images != pool.images).any(axis=(1, 2, 3)).sum() == 12
    assert copy.group_images == ()
    unmarked = (copy.images == pool.images).all(axis=(1, 2, 3))
    assert unmarked[list(copy.probes)].all()


def test_a_model_that_knows_the_pattern_ranks_it_first_and_an_innocent_one_does_not(pool, copy, tmp_path):
    settings = replace(SETTINGS, decoys=59)
    auditor = Auditor(settings, pool, tmp_path, lambda: None)
    references = {"twin": Knowing(3)}
    guilty = auditor.struck(copy, Knowing(1, copy.secret.patterns[0]), references, "guilty")
    found = guilty.levels["features"]
    assert found.p == found.p_without == found.smallest_p == 1 / 60
    assert found.z == pytest.approx(2.394, abs=0.001)  # the normal deviate of rank 0.5 in 60
    assert found.wrong_key > 0.05
    assert guilty.queries == 8 * (1 + 60 + 1)
    assert found.auc is None
    innocent = auditor.struck(copy, Knowing(2), references, "innocent").levels["features"]
    assert innocent.p > 0.05
    again = auditor.struck(copy, Knowing(2), references, "innocent").levels["features"]
    assert again == innocent


def test_a_whole_pilot_tries_a_plain_mark_at_all_levels(pool, tmp_path):
    found = Work(SETTINGS, pool, None, tmp_path).run()
    twin, suspect = found.lines
    assert twin.line.is_twin
    assert set(suspect.levels) == {"features", "soft", "hard"}
    assert all(20 * one.p == pytest.approx(round(20 * one.p)) for one in suspect.levels.values())
    assert all(one.smallest_p == 1 / 20 for one in suspect.levels.values())
    assert set(suspect.tasks["merged"]) == {"soft", "hard"}
    assert suspect.looks.marked == suspect.marked == 12
    (summary,) = summaries(SETTINGS, found)
    assert summary.power["features"].audits == 1


def test_too_few_decoys_for_alpha_are_refused_with_how_many_it_takes():
    with pytest.raises(PilotError, match="ask 99 or more"):
        replace(SETTINGS, alpha=0.01, decoys=98)
    assert replace(SETTINGS, alpha=0.01, decoys=99).decoys == 99
    with pytest.raises(PilotError, match="ask 7 or more"):  # what scores and twins use up
        replace(SETTINGS, alpha=0.2, references=2, decoys=6)
    assert replace(TINY, alpha=0.001, decoys=5).decoys == 5  # no plain mark is tried


@pytest.mark.parametrize(("exceedances", "z"), [(0, 2.5758), (99, -2.5758), (49, 0.0125)])
def test_a_rank_has_a_deviation_even_where_it_is_the_last(exceedances, z):
    test = RankTest(
        statistic=1.0,
        p=(1 + exceedances) / 100,
        p_lower=0.5,
        exceedances=exceedances,
        decoys=99,
        planned=99,
        stopped=False,
        looks=1,
        smallest_p=0.01,
        distances=(),
    )
    assert test.z == pytest.approx(z, abs=1e-4)
