"""From membership scores to p-values and controls: does a model know the published images better than those at home?

docs/method.md, section 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from audits.judging.assignments import Rules
from audits.judging.controls import controls_of_references, tainted
from audits.judging.levels import ChoiceLevel, ChoiceTest, Control
from audits.judging.membership import DENSITY, SCORES, MembershipScore, MembershipScores
from audits.statistics.choices import Blocks, Floats, KeptLaws, choice_test, omnibus_test
from audits.statistics.density import Level
from audits.statistics.looks import over_looks
from audits.statistics.membership import area_under_curve, reference_residual, without_gaps
from audits.statistics.permutation import philox_from

OMNIBUS: Literal["omnibus"] = "omnibus"
SETTLED = 1e-6  # a p with which no correction that is made anywhere would miss alpha
LEAST_P = 1e-300  # chances below it are shown as it: nothing depends on how small they are


@dataclass(frozen=True)
class Choices:
    """What the keys decided: which alternative of every block stayed home; the same for a wrong key, over the same
    blocks. covariates (C, n): public.
    """

    true: Blocks = field(repr=False)
    wrong: Blocks | None = field(repr=False)
    covariates: Floats = field(repr=False)

    def first(self, blocks: int) -> Choices:
        """Of the first blocks alone."""
        images = int((self.true.block_of < blocks).sum())
        return Choices(
            self.true.first(blocks),
            self.wrong.first(blocks) if self.wrong else None,
            self.covariates[:, :images],
        )


def wrong_choice(choice: Blocks, digest: str, release: str) -> Blocks:
    """A choice over the same blocks that nobody made: the plan's digest fixes it, so it was fixed at the lock."""
    words = philox_from(digest, f"{release}/wrong choice").bit_generator.random_raw(len(choice))
    picked = (words % choice.sizes.astype(np.uint64)).astype(np.int64)
    return Blocks(choice.block_of, choice.starts + picked)


def judge_choice(
    level: Level,
    suspect: MembershipScores,
    references: Mapping[str, MembershipScores],
    choices: Choices,
    rules: Rules,
    release: str,
) -> ChoiceLevel:
    """Everything that one level says about one release's keyed choice; nothing in it is about a single image.

    The p-values with references have their scores taken out, image by image; public covariates are taken out of all.
    Scores that suspect and references have count alike, whichever stayed home.
    """
    common = [name for name in SCORES if all(name in one.scores for one in (suspect, *references.values()))]
    suspect, references = suspect.only(common), {name: one.only(common) for name, one in references.items()}
    others = list(references.values())
    tests = _Tests(level, choices, rules, release)
    without = tests.declared(suspect, [], "without")
    controlled = tests.declared(suspect, others, "with") if others else None
    counted = controlled if rules.decide_with_references and controlled else without
    controls: list[Control] = []
    if choices.wrong is not None:
        wrong = tests.declared(suspect, others, "wrong key", choices.wrong)
        controls.append(Control("A wrong key", "wrong key", "high", wrong.p))
    controls += controls_of_references(references, tests.declared)
    against = others if rules.decide_with_references else []
    return ChoiceLevel(
        p=counted.p,
        p_without=without.p,
        p_with=controlled.p if controlled else None,
        smallest_p=counted.smallest_p,
        without=without,
        with_references=controlled,
        scores=tuple(tests.single(name, suspect, against) for name in SCORES if name in suspect.scores),
        controls=tuple(controls),
        tainted=tainted(controls, rules.alpha),
        missing=suspect.missing,
    )


def over(levels: Sequence[ChoiceLevel], looks: int, rules: Rules) -> ChoiceLevel:
    """One level after several of `looks` declared looks, as each described it: every p pays for all of them."""
    if looks == 1:
        return levels[-1]
    last = levels[-1]

    def test(tests: Sequence[ChoiceTest]) -> ChoiceTest:
        return replace(
            tests[-1],
            p=over_looks([one.p for one in tests], looks),
            p_lower=over_looks([one.p_lower for one in tests], looks),
            smallest_p=over_looks([one.smallest_p for one in tests], looks),
            looks=looks,
            looked=len(tests),
        )

    without = test([one.without for one in levels])
    beside = [one.with_references for one in levels if one.with_references]
    controlled = test(beside) if len(beside) == len(levels) else None
    counted = controlled if rules.decide_with_references and controlled else without
    controls = tuple(
        replace(control, p=over_looks([one.controls[place].p for one in levels], looks))
        for place, control in enumerate(last.controls)
    )
    return replace(
        last,
        p=counted.p,
        p_without=without.p,
        p_with=controlled.p if controlled else None,
        smallest_p=counted.smallest_p,
        without=without,
        with_references=controlled,
        scores=tuple(test([one.scores[place] for one in levels]) for place in range(len(last.scores))),
        controls=controls,
        tainted=tainted(controls, rules.alpha),
    )


def may_end(levels: Mapping[Level, ChoiceLevel], primary: Sequence[Level], looked: int, looks: int) -> bool:
    """Whether a run may end after a look, levels being what `over` says: at every level that decides p is settled.

    Far below alpha, or, once half of the blocks were looked at, on the wrong side. Any rule would do: p pays for all
    looks.
    """
    return all(
        level not in levels or levels[level].p <= SETTLED or (2 * looked >= looks and levels[level].without.z <= 0)
        for level in primary
    )


@dataclass(frozen=True)
class _Tests:
    """The tests of one level of one release; a score that is tested again, by another choice, has the same law."""

    level: Level
    choices: Choices
    rules: Rules
    release: str
    laws: KeptLaws = field(default_factory=KeptLaws)

    def declared(
        self, scores: MembershipScores, others: Sequence[MembershipScores], what: str, choice: Blocks | None = None
    ) -> ChoiceTest:
        """By the score that the plan declares, where the level has it, else by density."""
        if self.rules.score == OMNIBUS and len(scores.scores) > 1:
            return self._omnibus(scores, others, what, choice or self.choices.true)
        known: tuple[MembershipScore, ...] = tuple(name for name in scores.scores if name == self.rules.score)
        return self.single(known[0] if known else DENSITY, scores, others, choice)

    def single(
        self,
        name: MembershipScore,
        scores: MembershipScores,
        others: Sequence[MembershipScores],
        choice: Blocks | None = None,
    ) -> ChoiceTest:
        """By one score."""
        blocks = choice or self.choices.true
        plain, tested = self._left(name, scores, others)
        found, at_home = choice_test(tested, blocks, law_of=self.laws), _at_home(blocks)
        return ChoiceTest(
            score=name,
            z=found.z,
            p=max(found.p, LEAST_P),
            p_lower=max(found.p_lower, LEAST_P),
            smallest_p=max(found.smallest_p, LEAST_P),
            blocks=found.blocks,
            at_home=float(plain[at_home].mean()),
            published=float(plain[~at_home].mean()),
            auc=area_under_curve(tested, at_home),
        )

    def _omnibus(
        self, scores: MembershipScores, others: Sequence[MembershipScores], what: str, choice: Blocks
    ) -> ChoiceTest:
        rng = philox_from(self.rules.seed, f"{self.release}/{self.level}/choice/{what}")
        tested = np.stack([self._left(name, scores, others)[1] for name in SCORES if name in scores.scores])
        found = omnibus_test(tested, choice, self.rules.choices, rng)
        return ChoiceTest(
            score=OMNIBUS,
            z=max(found.z),
            p=found.p,
            p_lower=found.p_lower,
            smallest_p=found.smallest_p,
            blocks=len(choice),
            choices=found.choices,
        )

    def _left(
        self, name: MembershipScore, scores: MembershipScores, others: Sequence[MembershipScores]
    ) -> tuple[Floats, Floats]:
        """(n,) scores, and what of them neither the others' scores nor the covariates explain."""
        block_of = self.choices.true.block_of
        plain = without_gaps(scores.scores[name], block_of)
        rows = [without_gaps(other.scores[name], block_of) for other in others]
        explaining = np.concatenate([self.choices.covariates, *(row[None] for row in rows)])
        return plain, reference_residual(plain, explaining, block_of)


def _at_home(blocks: Blocks) -> np.ndarray:
    """(n,) bool"""
    found = np.zeros(len(blocks.block_of), dtype=bool)
    found[blocks.home] = True
    return found
