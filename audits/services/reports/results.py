"""What a finished audit measured, as the facts of its report: as an auditor sees it, for auditors read reports too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audits.judging import disclosure
from audits.judging.disclosure import ChoiceView, CombinedView, MeanLevel, MeanView, RankedView, SetView, View
from audits.judging.levels import AnyLevel, ChoiceLevel, ChoiceTest, PermutationTest, RankLevel, RankTest, Test
from audits.judging.ranks import DECOY_QUANTILES
from audits.models import Audit, AuditRow
from audits.report.facts import RestrictionFacts
from audits.report.memberships import Membership
from audits.report.results import Control, DensityScores, Histogram, ReleaseResult, Result, SingleTest
from audits.services.results.rank_charts import histogram_of
from audits.statistics.density import Level

SCORES = {"density_gain": "gain", "divergence": "divergence", "displacement": "displacement", "coherence": "coherence"}


@dataclass(frozen=True)
class Part:
    """One mark set of one release: its result as an auditor sees it. set: None where it is the only one."""

    label: str
    set: int | None
    shown: SetView

    @property
    def test(self) -> SingleTest:
        if isinstance(self.shown, ChoiceView):
            return "choice"
        return "rank" if isinstance(self.shown, RankedView) else "permutation"


@dataclass(frozen=True)
class Tested:
    """One release of the audit: its row, its label, and what an auditor sees of its result."""

    row: AuditRow
    label: str
    shown: View

    @classmethod
    def of(cls, row: AuditRow, label: str) -> Tested:
        return cls(row, label, disclosure.withheld(row.found))

    @property
    def parts(self) -> list[Part]:
        return [Part(self.label, shown.set, shown) for shown in self.shown.parts]

    @property
    def sets(self) -> list[Part]:
        """Where there are several: what stands beside the release as a whole."""
        return self.parts if isinstance(self.shown, CombinedView) else []


def result_facts(audit: Audit, tested: list[Tested]) -> Result:
    rows = [one.row for one in tested]
    deciding = min(
        (row for row in rows if row.conclusion == audit.conclusion), key=lambda row: (row.p_corrected, row.p)
    )
    many = len(rows) > 1
    return Result(
        conclusion=_conclusion(audit.conclusion),
        sentence=audit.sentence,
        p_raw=deciding.p,
        p_corrected=deciding.p_corrected,
        smallest_p=deciding.smallest_p,
        smallest_corrected_p=correction.smallest_p if (correction := deciding.found.decision.corrected) else None,
        corrected_over=audit.facts["tests"] if deciding.found.tests is None else deciding.found.tests,
        rows=tuple(row for one in tested for row in _release_rows(audit, one)),
        reasons=tuple(
            f"{one.label}: {reason}" if many else reason for one in tested for reason in one.shown.reasons or ()
        ),
    )


def _release_rows(audit: Audit, one: Tested) -> Iterator[ReleaseResult]:
    """The release at every level; then, where it bears several mark sets, each of them."""
    shown = one.shown
    for level, found in shown.scored.items():
        primary, corrected = level in shown.primary, found.corrected
        # Old results were corrected at the plan's own level only.
        p = corrected.p if corrected else one.row.p_corrected if primary else None
        yield _row(
            audit,
            one.label,
            level,
            found,
            groups=_groups(shown),
            corrected=p,
            conclusion=_conclusion(one.row.conclusion) if level == shown.deciding else None,
            primary=primary,
            test="combined" if one.sets else one.parts[0].test,
            combined=len(one.sets),
            together=corrected.together if corrected else 0,
            reason=corrected.reason if corrected else "",
            smallest_corrected_p=corrected.smallest_p if corrected else None,
        )
    for part in one.sets:
        for level, found in part.shown.scored.items():
            yield _row(audit, one.label, level, found, groups=_groups(part.shown), set=part.set, test=part.test)


def _groups(shown: View) -> int:
    return shown.patterns if isinstance(shown, MeanView) else 0


def _row(audit: Audit, label: str, level: Level, found: AnyLevel, **more: Any) -> ReleaseResult:
    counted = found.counted(audit.plan.decide_with_references)
    more = {"corrected": None, "conclusion": None, "primary": False} | more
    return ReleaseResult(
        release=label,
        level=level,
        p_without=found.p_without,
        p_with=found.p_with,
        smallest_p=found.smallest_p,
        permutations=_compared(counted),
        exact=counted.exact if isinstance(counted, PermutationTest) else True,
        **more,
    )


def _compared(test: Test) -> int:
    match test:
        case PermutationTest():
            return test.permutations
        case RankTest():
            return test.decoys
        case ChoiceTest():
            return test.blocks
        case _:
            return 0


def score_facts(tested: list[Tested]) -> Iterator[DensityScores]:
    for one in tested:
        for part in one.parts:
            for level, found in part.shown.scored.items():
                if isinstance(found, RankLevel):
                    yield from _decoy_scores(part, level, found)
                elif isinstance(found, MeanLevel):
                    values = {name: getattr(found.means, own) for name, own in SCORES.items()}
                    yield DensityScores(part.label, level, "mean", **values, pull=found.means.pull, set=part.set)


def membership_facts(tested: list[Tested]) -> Iterator[Membership]:
    """Every score of every level of keyed choices."""
    for one in tested:
        for part in one.parts:
            for level, found in part.shown.scored.items():
                for test in found.scores if isinstance(found, ChoiceLevel) else ():
                    assert test.score != "omnibus"  # noqa: S101 - those are single ones
                    yield Membership(
                        release=part.label,
                        level=level,
                        score=test.score,
                        published=test.published or 0.0,
                        at_home=test.at_home or 0.0,
                        auc=test.auc or 0.0,
                        z=test.z,
                        p=test.p,
                        p_lower=test.p_lower,
                        set=part.set,
                    )


def choice_counts(one: Tested) -> dict[str, int]:
    """Blocks and alternatives of the release's keyed choice, where it has one."""
    found = [part.shown for part in one.parts if isinstance(part.shown, ChoiceView)]
    return {"blocks": found[0].blocks, "alternatives": found[0].alternatives} if found else {}


def _decoy_scores(part: Part, level: Level, found: RankLevel) -> list[DensityScores]:
    """Quantiles of the decoys' scores; the true key's own stay with the owner."""
    decoys = found.densities.decoys
    return [
        DensityScores(
            part.label,
            level,
            _quantile_name(quantile),
            **{name: getattr(decoys, own)[n] for name, own in SCORES.items()},
            set=part.set,
        )
        for n, quantile in enumerate(DECOY_QUANTILES)
    ]


def _quantile_name(quantile: float) -> str:
    return "decoys, median" if quantile == 0.5 else f"decoys, {quantile * 100:.0f} % below"


def histogram_facts(tested: list[Tested]) -> Iterator[Histogram]:
    for one in tested:
        for part in one.parts:
            for level, found in part.shown.scored.items():
                for test in (found.without, found.with_references):
                    if isinstance(test, PermutationTest | RankTest):
                        beside = test is found.with_references
                        yield Histogram(one.label, level, beside, *_bars(test), part.set, part.test)


def _bars(test: PermutationTest | RankTest) -> tuple[tuple[float, ...], tuple[int, ...], float]:
    if isinstance(test, RankTest):
        bars, sides, at = histogram_of(test)
        return tuple(sides), tuple(bars), at
    return tuple(map(float, test.edges)), test.counts, float(test.statistic)


def control_facts(tested: list[Tested]) -> Iterator[Control]:
    """Those of the release as a whole; then, where it bears several mark sets, those of each."""
    for one in tested:
        yield from _controls(one.label, None, one.shown)
        for part in one.sets:
            yield from _controls(one.label, part.set, part.shown)


def _controls(label: str, number: int | None, shown: View) -> Iterator[Control]:
    for level, found in shown.scored.items():
        for c in found.controls:
            yield Control(c.name, c.kind, label, level, float(c.p), c.tail, number)


def restriction_facts(one: Tested) -> tuple[RestrictionFacts, ...]:
    """Of every mark set whose assignment was restricted: how many classes and bans, never which."""
    return tuple(
        RestrictionFacts(part.set, limited.classes, limited.forbidden, limited.possible)
        for part in one.parts
        if isinstance(part.shown, MeanView) and (limited := part.shown.restriction)
    )


def unmeasured(tested: list[Tested]) -> tuple[str, ...]:
    return tuple(
        f"{one.label}, level {level}: {reason}" for one in tested for level, reason in one.shown.unscored.items()
    )


def missing_answers(tested: list[Tested]) -> int:
    """At the levels that decided."""
    return sum(one.shown.decision.missing for one in tested)


def _conclusion(stored: str) -> Any:
    return str(Audit.Conclusion(stored).label)
