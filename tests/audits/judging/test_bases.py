"""What a level of features says by captions, beside what it says by density."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audits.judging.assignments import Rules
from audits.judging.bases import BASES, areas, bases_shown, judge_beside
from audits.judging.choices import Choices, judge_choice
from audits.judging.membership import MembershipScores
from audits.statistics.choices import Blocks

RULES = Rules("ab" * 32, "features", 0.01, 0, decide_with_references=True, choices=2_000)
BLOCKS = 60
CHOICE = Blocks(
    np.repeat(np.arange(BLOCKS), 2), 2 * np.arange(BLOCKS) + np.random.default_rng(5).integers(0, 2, BLOCKS)
)
CHOICES = Choices(CHOICE, None, np.empty((0, 2 * BLOCKS)))


def scores(seed: int, known: float = 0.0, captions: bool = True) -> MembershipScores:
    """Noise; captions of published images are known so much better."""
    rng = np.random.default_rng(seed)
    given = {"density": rng.normal(size=2 * BLOCKS), "caption": rng.normal(size=2 * BLOCKS) + known}
    given["caption"][CHOICE.home] -= known
    return MembershipScores(given if captions else {"density": given["density"]}, 0)


def asked(suspect: MembershipScores, *references: MembershipScores, level: str = "features"):
    return level, suspect, {f"reference {n}": one for n, one in enumerate(references)}, CHOICES, RULES, "release"


def test_known_captions_are_found_by_captions_and_by_the_omnibus_and_not_by_density():
    question = asked(scores(1, 1.5), scores(2))
    beside = judge_beside(*question)
    assert list(beside) == ["features / caption", "features / omnibus"]
    assert beside["features / caption"].p < 1e-6
    assert beside["features / omnibus"].p == pytest.approx(1 / 2_001)
    assert judge_choice(*question).p > 0.05
    innocent = judge_beside(*asked(scores(3), scores(2)))
    assert min(one.p for one in innocent.values()) > 0.05


def test_each_line_is_what_a_plan_that_declares_the_score_would_get():
    question = asked(scores(1, 0.3), scores(2))
    declared = {
        name: judge_choice(*question[:4], replace(RULES, score=name), "release") for name in ("caption", "omnibus")
    }
    assert judge_beside(*question) == {f"features / {name}": one for name, one in declared.items()}


@pytest.mark.parametrize(
    "question",
    [
        asked(scores(1, 1.5, captions=False)),
        asked(scores(1, 1.5), scores(2, captions=False)),
        asked(scores(1, 1.5), level="soft"),
    ],
)
def test_there_is_no_line_where_somebody_reads_no_captions(question):
    assert judge_beside(*question) == {}


def test_areas_are_those_of_density_and_of_captions():
    found = areas("features", judge_choice(*asked(scores(1, 1.5))))
    assert list(found) == ["features", "features / caption"]
    assert found["features / caption"] > 0.9 > found["features"]
    soft = MembershipScores({name: scores(1).scores["density"] for name in ("density", "confidence")}, 0)
    assert list(areas("soft", judge_choice(*asked(soft, level="soft")))) == ["soft"]


def test_levels_always_have_a_column_and_scores_where_there_is_one():
    assert bases_shown([{"features"}, {}]) == ["features", "soft", "hard"]
    assert bases_shown([{"features"}, {"features / omnibus", "features / caption"}]) == list(BASES)
