"""From answers to views to a conclusion about a keyed choice, on small real models that remember what they saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audits.asking.measuring import measure
from audits.asking.view_questions import ViewAnswers
from audits.judging.assignments import CorrectedP, Rules, conclude
from audits.judging.choices import Choices, judge_choice, may_end, over, wrong_choice
from audits.judging.codec import read, write
from audits.judging.disclosure import full, withheld
from audits.judging.levels import Unscored
from audits.judging.membership import MembershipScores, membership_levels
from audits.judging.result import ChoiceResult, CombinedResult
from audits.judging.sets import combine_levels
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from tests.audits.builders_choices import Remembering, alternatives, choice_of, published_of, view_question

RULES = Rules(
    digest="ab" * 32,
    level="features",
    alpha=0.01,
    permutations=1_000,
    decide_with_references=False,
    nonce="cd" * 32,
    choices=20_000,
)
BLOCKS, SIZE, VIEWS = 60, 4, 5
IMAGES = alternatives(BLOCKS * SIZE)
CHOICE = choice_of(BLOCKS, SIZE)
PUBLISHED, HOME = published_of(IMAGES, CHOICE), IMAGES[CHOICE.home]


@pytest.fixture(scope="module")
def scores_of(tmp_path_factory):
    """Scores of a model by what it was trained on; every model is asked once."""
    known: dict[tuple, dict] = {}

    def scores(seed, trained_on=(), strength=0.3, kinds=("features", "soft")):
        key = (seed, len(trained_on), trained_on[0].tobytes() if len(trained_on) else b"", strength, kinds)
        if key not in known:
            folder, question = tmp_path_factory.mktemp("answers"), view_question(IMAGES, VIEWS)
            measure(question, folder, Remembering(seed, trained_on, strength, kinds), lambda images: None)
            known[key], reasons = membership_levels(ViewAnswers(folder, len(IMAGES)))
            assert reasons == {}
        return known[key]

    return scores


def choices(choice=CHOICE, wrong=True) -> Choices:
    return Choices(choice, wrong_choice(choice, RULES.digest, "r1") if wrong else None, picture_covariates([IMAGES]))


def judged(suspect, references=None, level="features", rules=RULES, chosen=None):
    others = {name: of[level] for name, of in (references or {}).items()}
    return judge_choice(level, suspect[level], others, chosen or choices(), rules, "r1")


def concluded(found, rules=RULES):
    return conclude(found, CorrectedP(found.p, found.smallest_p), rules)[0]


@pytest.mark.parametrize("level", ["features", "soft", "hard"])
def test_a_model_that_met_the_copy_is_found_and_an_innocent_one_is_not(level, scores_of):
    found = judged(scores_of(1, PUBLISHED, 0.6), level=level)
    assert found.p < 1e-6
    assert found.without.auc > 0.75
    assert found.without.published > found.without.at_home
    assert found.smallest_p < 1e-30 or level == "hard"
    assert found.wrong_key > 0.01
    assert concluded(found) == "evidence"
    innocent = judged(scores_of(2), level=level)
    assert innocent.p > 0.01
    assert innocent.without.p_lower > 0.01
    assert concluded(innocent) == "no_evidence"


def test_a_model_that_met_every_image_is_no_evidence(scores_of):
    """It knows published ones and those at home alike: it did not come by this copy alone."""
    assert judged(scores_of(3, IMAGES)).p > 0.01


def test_a_model_that_met_another_copy_is_not_found_by_this_key(scores_of):
    other = choice_of(BLOCKS, SIZE, seed=9)
    found = scores_of(4, published_of(IMAGES, other))
    assert judged(found, chosen=choices(other)).p < 1e-6
    assert judged(found).p > 1e-4


def test_references_sharpen_the_test(scores_of):
    suspect = scores_of(1, PUBLISHED, 0.12)
    references = {"one": scores_of(1), "two": scores_of(12)}  # the first shares the suspect's projections
    rules = replace(RULES, decide_with_references=True)
    found = judged(suspect, references, rules=rules)
    assert found.p == found.p_with < found.p_without
    assert found.with_references.z > found.without.z + 1
    assert not found.tainted
    assert {(c.kind, c.tail) for c in found.controls} == {
        ("wrong key", "high"),
        ("reference", "high"),
        ("reference", "low"),
        ("reference left out", "high"),
    }


@pytest.mark.parametrize("level", ["features", "soft"])
def test_rigged_references_are_caught(level, scores_of):
    """One that was trained on the withheld makes an innocent look guilty, one on the published hides a guilty one."""
    on_home, on_published = scores_of(21, HOME, 0.6), scores_of(22, PUBLISHED, 0.6)
    rules = replace(RULES, decide_with_references=True)
    found = judged(scores_of(2), {"clean": scores_of(12), "home": on_home, "published": on_published}, level, rules)
    assert found.tainted == ("home", "published")
    low = {c.name: c.p for c in found.controls if c.kind == "reference" and c.tail == "low"}
    high = {c.name: c.p for c in found.controls if c.kind == "reference" and c.tail == "high"}
    assert low["home"] < 1e-6 < high["home"]
    assert high["published"] < 1e-6 < low["published"]
    assert min(low["clean"], high["clean"]) > 0.001
    assert concluded(found, rules) == "inconclusive"


def test_a_rigged_reference_would_make_an_innocent_look_guilty(scores_of):
    """Why they are tested first: the attack works where the reference knows how the suspect answers."""
    innocent, rigged = scores_of(2), scores_of(2, HOME, 0.3)
    found = judged(innocent, {"rigged": rigged}, rules=replace(RULES, decide_with_references=True))
    assert found.p < 0.01
    assert found.tainted == ("rigged",)
    assert concluded(found, replace(RULES, decide_with_references=True)) == "inconclusive"


def test_wrong_keys_are_uniform_even_for_a_guilty_model(scores_of):
    guilty, ps = scores_of(1, PUBLISHED, 0.3), []
    for number in range(300):
        wrong = wrong_choice(CHOICE, f"{number:064x}", "r1")
        ps.append(judged(guilty, chosen=Choices(CHOICE, wrong, choices().covariates)).wrong_key)
    assert 4 <= sum(p <= 0.05 for p in ps) <= 28  # 99.9 % of what chance gives
    assert 0.42 < np.mean(ps) < 0.58


def test_p_values_of_innocents_are_uniform_over_keys(scores_of):
    """Three innocents, with and without a reference, a hundred keys each."""
    ps = []
    for seed in (2, 5, 6):
        for number in range(100):
            chosen = Choices(choice_of(BLOCKS, SIZE, seed=1000 + number), None, choices().covariates)
            found = judged(scores_of(seed), {"other": scores_of(12)}, chosen=chosen)
            ps += [found.p_without, found.p_with, found.without.p_lower]
    assert 20 <= sum(p <= 0.05 for p in ps) <= 75
    assert 0.45 < np.mean(ps) < 0.55


def test_the_score_that_the_plan_declares_counts_and_the_others_are_shown(scores_of):
    suspect = scores_of(1, PUBLISHED)
    by_confidence = judged(suspect, level="soft", rules=replace(RULES, score="confidence"))
    assert by_confidence.without.score == "confidence"
    assert [test.score for test in by_confidence.scores] == ["density", "confidence"]
    assert by_confidence.p == by_confidence.scores[1].p
    assert judged(suspect, level="features", rules=replace(RULES, score="confidence")).without.score == "density"


def test_an_omnibus_takes_the_most_telling_score_and_pays_for_the_choice(scores_of):
    suspect = scores_of(1, PUBLISHED, 0.2)
    rules = replace(RULES, score="omnibus")
    found = judged(suspect, level="soft", rules=rules)
    assert found.without.score == "omnibus"
    assert found.without.choices == RULES.choices
    assert found.without.z == pytest.approx(max(test.z for test in found.scores))
    assert found.p >= 1 / (RULES.choices + 1)
    assert found == judged(suspect, level="soft", rules=rules)  # the draws follow from plan and nonce
    assert judged(suspect, level="features", rules=rules).without.score == "density"


def captioned(scores, telling: float, seed: int = 0) -> MembershipScores:
    """With cosines to captions, larger by `telling` where an image was published."""
    cosines = np.random.default_rng(seed).normal(size=BLOCKS * SIZE)
    cosines[np.setdiff1d(np.arange(BLOCKS * SIZE), CHOICE.home)] += telling
    return MembershipScores({**scores["features"].scores, "caption": cosines}, 0)


def test_captions_count_where_the_plan_says_so_and_in_an_omnibus(scores_of):
    suspect = {"features": captioned(scores_of(2), telling=2)}
    by_caption = judged(suspect, rules=replace(RULES, score="caption"))
    assert (by_caption.without.score, by_caption.p) == ("caption", by_caption.scores[1].p)
    assert by_caption.p < 1e-6 < judged(suspect).p
    most = judged(suspect, rules=replace(RULES, score="omnibus"))
    assert (most.without.score, most.without.z) == ("omnibus", pytest.approx(by_caption.without.z))
    innocent = {"features": captioned(scores_of(2), telling=0)}
    assert judged(innocent, rules=replace(RULES, score="caption")).p > 0.01


def test_a_score_that_a_reference_does_not_have_is_no_score_of_the_plan(scores_of):
    suspect = {"features": captioned(scores_of(2), telling=2)}
    found = judged(suspect, {"silent": scores_of(12)}, rules=replace(RULES, score="omnibus"))
    assert [test.score for test in found.scores] == ["density"]
    assert found.without.score == found.with_references.score == "density"
    reading = {"reading": {"features": captioned(scores_of(12), telling=0, seed=1)}}
    assert [test.score for test in judged(suspect, reading).scores] == ["density", "caption"]


def test_missing_answers_are_counted_and_weaken_never_more(scores_of):
    suspect = scores_of(1, PUBLISHED)["features"]
    gaps = suspect.scores["density"].copy()
    gaps[::3] = np.nan
    found = judged({"features": MembershipScores({"density": gaps}, 80 * VIEWS)})
    assert found.missing == 80 * VIEWS
    assert found.p > judged({"features": suspect}).p
    silent = judged({"features": MembershipScores({"density": np.full(len(gaps), np.nan)}, 1)})
    assert silent.p == silent.smallest_p == 1


def result_of(levels) -> ChoiceResult:
    return ChoiceResult(
        test="choice",
        level="features",
        levels=levels,
        probes_digest="ab",
        nonce="cd",
        blocks=BLOCKS,
        alternatives=BLOCKS * SIZE,
        views=VIEWS,
    )


def test_results_are_stored_and_read_and_name_no_image(scores_of):
    suspect = scores_of(1, PUBLISHED)
    levels = {level: judged(suspect, {"one": scores_of(12)}, level) for level in ("features", "soft")}
    result = result_of({**levels, "hard": Unscored("none")})
    stored = write(result)
    assert read(stored) == result
    assert write(read(stored)) == stored
    for shown in (full(result), withheld(result)):
        text = str(write(shown))
        assert "home" not in text.replace("at_home", "")
        assert len(text) < 12_000


def test_a_choice_combines_with_other_secrets_of_its_release(scores_of):
    one, two = scores_of(1, PUBLISHED, 0.1), scores_of(2)
    sets = [{"features": judged(scores)} for scores in (one, two)]
    combined = combine_levels(sets, RULES)["features"]
    assert 0 < combined.p <= 1
    assert combined.smallest_p > 0
    result = CombinedResult(
        test="combined",
        level="features",
        levels={"features": combined},
        probes_digest="ab",
        sets=tuple(replace(result_of(levels), set=number) for number, levels in enumerate(sets, 1)),
    )
    assert read(write(result)) == result
    assert withheld(result).parts[0].shuffled


def test_a_wrong_choice_is_fixed_by_the_plan_and_over_the_same_blocks():
    one = wrong_choice(CHOICE, "ab" * 32, "r1")
    assert np.array_equal(one.home, wrong_choice(CHOICE, "ab" * 32, "r1").home)
    assert not np.array_equal(one.home, wrong_choice(CHOICE, "ac" * 32, "r1").home)
    assert not np.array_equal(one.home, wrong_choice(CHOICE, "ab" * 32, "r2").home)
    uneven = Blocks(np.array([0, 0, 0, 1, 1]), np.array([0, 4]))
    assert wrong_choice(uneven, "ab" * 32, "r1").home[1] in (3, 4)


def looked(level, chosen, blocks, rules=RULES, references=None):
    """What the first blocks say."""
    part = chosen.first(blocks)
    images = len(part.true.block_of)

    def first(scores):
        return MembershipScores({name: values[:images] for name, values in scores.scores.items()}, scores.missing)

    others = {name: first(scores[level]) for name, scores in (references or {}).items()}
    return lambda suspect: judge_choice(level, first(suspect[level]), others, part, rules, "r1")


def test_a_run_ends_early_where_p_is_settled_and_pays_for_all_looks(scores_of):
    guilty, innocent, rules = scores_of(1, PUBLISHED, 0.6), scores_of(2), RULES
    early = looked("features", choices(), BLOCKS // 2)(guilty)
    paid = over([early], 2, rules)
    assert (paid.without.looks, paid.without.looked, paid.without.blocks) == (2, 1, BLOCKS // 2)
    assert paid.p == pytest.approx(early.p / 0.1)
    assert may_end({"features": paid}, ["features"], 1, 2)
    late = looked("features", choices(), BLOCKS)(guilty)
    both = over([early, late], 2, rules)
    assert both.p == pytest.approx(min(early.p / 0.1, late.p / 0.9))
    assert both.smallest_p < early.smallest_p
    assert over([late], 1, rules) == late
    first, second = (over([looked("features", choices(), 30)(innocent)], looks, rules) for looks in (2, 4))
    assert first.p > 0.01
    assert may_end({"features": first}, ["features"], 1, 2) is (first.without.z <= 0)
    assert not may_end({"features": second}, ["features"], 1, 4)


def test_rigged_references_are_caught_at_looks_too(scores_of):
    references = {"home": scores_of(21, HOME, 0.6), "clean": scores_of(12)}
    rules = replace(RULES, decide_with_references=True)
    levels = [looked("features", choices(), blocks, rules, references)(scores_of(2)) for blocks in (30, 60)]
    found = over(levels, 2, rules)
    assert found.tainted == ("home",)
    assert found.p == found.p_with
    assert [c.name for c in found.controls] == [c.name for c in levels[0].controls]
    assert read(write(result_of({"features": found}))).levels["features"] == found
