"""From pulls to p-values, controls and a conclusion (method.md, sections 1, 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audits.judging.controls import controls_of_references, tainted
from audits.judging.levels import AnyLevel, AssociatedLevel, Control, Matrix, PatternScores, PermutationTest
from audits.judging.scoring import LevelScores
from audits.statistics.density import Level
from audits.statistics.draws import Draws
from audits.statistics.permutation import permutation_test, philox_from, reference_residual
from audits.statistics.restricted import restricted_residual, restricted_test
from provenance.marks.restriction import Restriction

Conclusion = Literal["evidence", "inconclusive", "no_evidence", "exploratory_small_p", "exploratory_no_small_p"]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WITHOUT, WITH, WRONG_KEY = "without", "with", "wrong key"  # purposes of draws


@dataclass(frozen=True)
class Rules:
    """What the locked plan fixes about the test.

    digest: the plan's own; nonce: in hex, drawn once when its run was queued. Both together seed every draw, so nobody
    can lock plans until one draws luckily. Runs that were queued before all had a nonce have none. score: by which a
    keyed choice is tested; choices: how many random ones an omnibus over several scores is compared with.
    """

    digest: str
    level: Level
    alpha: float
    permutations: int
    decide_with_references: bool
    nonce: str = ""
    score: str = "density"
    choices: int = 100_000

    @property
    def seed(self) -> str:
        """Of every draw."""
        return self.digest + self.nonce


@dataclass(frozen=True)
class Secrets:
    """What the keys decided: pattern j marks group assignment[j]; the same for the wrong key, where one was drawn.

    restriction: the assignments that the committed settings allow, where those are not all; both keys drew theirs
    among them, so both are tested among them.
    """

    assignment: Ints
    wrong_assignment: Ints | None = None
    restriction: Restriction | None = None


def judge_level(
    level: Level,
    scores: LevelScores,
    references: Mapping[str, LevelScores],
    secrets: Secrets,
    rules: Rules,
    release: str,
    draws: Draws | None = None,
) -> AssociatedLevel:
    """Everything that one level says about one release. It holds pulls by true pattern and group.

    references: scores of the models that serve as references, by name. draws: where random permutations may have been
    drawn before.
    """
    others, restriction = {name: reference.pulls for name, reference in references.items()}, secrets.restriction

    def test(pulls: Floats, assignment: Ints, what: str, against: list[Floats]) -> PermutationTest:
        purpose, count = f"{release}/{level}/{what}", rules.permutations
        rng = philox_from(rules.seed, purpose)
        if restriction is not None:
            return PermutationTest.of(restricted_test(pulls, assignment, restriction, count, rng, against))
        drawn = draws.of(purpose, len(assignment), count) if draws else None
        return PermutationTest.of(permutation_test(pulls, assignment, count, rng, against, drawn))

    without = test(scores.pulls, secrets.assignment, WITHOUT, [])
    controlled = test(scores.pulls, secrets.assignment, WITH, list(others.values())) if others else None
    counted = controlled if rules.decide_with_references and controlled else without
    controls: list[Control] = []
    if scores.wrong_pulls is not None and secrets.wrong_assignment is not None:
        wrong = test(scores.wrong_pulls, secrets.wrong_assignment, WRONG_KEY, [])
        controls.append(Control("A wrong key", "wrong key", "high", wrong.p))
    controls += controls_of_references(others, lambda own, left, what: test(own, secrets.assignment, what, left))
    return AssociatedLevel(
        p=counted.p,
        p_without=without.p,
        p_with=controlled.p if controlled else None,
        smallest_p=counted.smallest_p,
        without=without,
        with_references=controlled,
        pulls=_matrix(scores.pulls),
        residual=_matrix(_residual(scores.pulls, list(others.values()), restriction)) if others else None,
        centred=None if restriction is None else _matrix(restricted_residual(scores.pulls, restriction)),
        densities=_densities(scores, secrets.assignment),
        controls=tuple(controls),
        tainted=tainted(controls, rules.alpha),
        missing=scores.missing,
    )


def begin_draws(
    draws: Draws, levels: Sequence[str], secrets: Secrets, rules: Rules, release: str, references: bool
) -> None:
    """Draw what `judge_level` will need about a suspect, while models are still asked."""
    if secrets.restriction is not None:
        return
    wanted = (
        WITHOUT,
        *((WITH,) if references else ()),
        *((WRONG_KEY,) if secrets.wrong_assignment is not None else ()),
    )
    for level in levels:
        for what in wanted:
            draws.begin(f"{release}/{level}/{what}", len(secrets.assignment), rules.permutations)


def _residual(pulls: Floats, references: list[Floats], restriction: Restriction | None) -> Floats:
    if restriction is None:
        return reference_residual(pulls, references)
    return restricted_residual(pulls, restriction, references)


def _matrix(values: Floats) -> Matrix:
    return tuple(map(tuple, values.tolist()))


def _densities(scores: LevelScores, assignment: Ints) -> tuple[PatternScores, ...]:
    own = scores.pulls[np.arange(len(assignment)), assignment].tolist()
    return tuple(PatternScores(**asdict(d), pull=pull) for d, pull in zip(scores.densities, own, strict=True))


@dataclass(frozen=True)
class CorrectedP:
    """A release's p at the level that decides, once corrected, and what two others would be corrected to in its place.

    smallest: the least p that a primary level of the release could have given; other: the p without references where
    the one with them counts, or the one with them; None where there is no other.
    """

    p: float
    smallest: float
    other: float | None = None


def conclude(level: AnyLevel, corrected: CorrectedP, rules: Rules) -> tuple[Conclusion, list[str]]:
    """The conclusion for one release at the plan's level, and the reasons where it is not plain.

    Evidence needs the corrected p at or below alpha, clean references where they count, and a wrong key that is not
    found as well. Inconclusive: one of the p-values reaches alpha and another that should agree does not, or the plan
    could not have reached alpha at all once corrected.
    """
    alpha, reasons = rules.alpha, []
    if level.smallest_p > alpha:
        reasons.append("The plan could not reach alpha: its smallest reachable p lies above it.")
    elif corrected.smallest > alpha:
        reasons.append(
            "The plan could not reach alpha: its smallest reachable p lies above it once corrected for all tests made."
        )
    if rules.decide_with_references and level.tainted:
        named = ", ".join(level.tainted)
        reasons.append(f"References that react to this key themselves cannot clear or convict anybody: {named}.")
    if corrected.p <= alpha:
        if level.wrong_key is not None and level.wrong_key <= alpha:
            reasons.append("A wrong key was found as well, which should happen by chance only.")
        return ("inconclusive", reasons) if reasons else ("evidence", [])
    if level.p <= alpha:
        reasons.append("The p-value reaches alpha, but not once it is corrected for all tests made.")
    if corrected.other is not None and corrected.other <= alpha:
        word = "without" if rules.decide_with_references else "with"
        reasons.append(f"Once corrected, the p-value {word} references reaches alpha; the one that counts does not.")
    return ("inconclusive", reasons) if reasons else ("no_evidence", [])


def sentence(conclusion: Conclusion, suspect: str, recipients: Sequence[str], decided_by: Sequence[str] = ()) -> str:
    """The conclusion about one release or several in plain words; it never says that anybody infringed.

    decided_by: the levels that decided, where the plan names several that may.
    """
    copies = " and ".join(f"“{recipient}”" for recipient in recipients)
    word = "copies" if len(recipients) > 1 else "copy"
    about = f"the responses of “{suspect}” depend on the secret key of the {word} for {copies}"
    if conclusion == "evidence":
        text = f"Evidence that {about}, more than chance allows."
    elif conclusion == "inconclusive":
        text = f"Inconclusive: this test can neither show nor rule out that {about}."
    else:
        text = f"No evidence that {about}. This is no acquittal: a weak trace can stay below what this plan could see."
    levels = " and ".join(decided_by)
    decided = f" Decided by the {levels}, whose corrected p is the smallest among the levels that may decide."
    return text + decided if levels else text
