"""What a finished audit measured, as the facts of its report: in the shuffled order that an auditor sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audits.judging.disclosure import RANK
from audits.judging.ranks import DECOY_QUANTILES
from audits.models import Audit, AuditRow
from audits.report.facts import RestrictionFacts
from audits.report.results import Control, DensityScores, Histogram, ReleaseResult, Result, SingleTest
from audits.services.results.rank_charts import histogram_of
from audits.services.results.visible import shuffled_result

SCORES = ("density_gain", "divergence", "displacement", "coherence")
_STORED = {"density_gain": "gain"}  # the core's own names where they differ


@dataclass(frozen=True)
class Part:
    """One mark set of one release: its result as an auditor sees it, and as it is. set: None where it is the only one.

    Nothing of `whole` may leave but what names no pattern and no group.
    """

    label: str
    set: int | None
    shown: dict[str, Any]
    whole: dict[str, Any]

    @property
    def test(self) -> SingleTest:
        return "rank" if self.shown.get("test") == RANK else "permutation"


@dataclass(frozen=True)
class Tested:
    """One release of the audit: its row, its label, and what an auditor sees of its result."""

    row: AuditRow
    label: str
    shown: dict[str, Any]

    @classmethod
    def of(cls, row: AuditRow, label: str) -> Tested:
        return cls(row, label, shuffled_result(row))

    @property
    def parts(self) -> list[Part]:
        if "sets" not in self.shown:
            return [Part(self.label, None, self.shown, self.row.result)]
        sets = zip(self.shown["sets"], self.row.result["sets"], strict=True)
        return [Part(self.label, shown["set"], shown, whole) for shown, whole in sets]

    @property
    def decided_by(self) -> str:
        return str(self.shown.get("decided_by") or self.shown["level"])


def measured(result: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """The levels that could be scored, in the fixed order; the others hold a reason only."""
    levels = result["levels"]
    return [(level, levels[level]) for level in ("features", "soft", "hard") if "p" in levels.get(level, {})]


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
        corrected_over=deciding.result.get("tests", audit.facts["tests"]),
        rows=tuple(row for one in tested for row in _release_rows(audit, one)),
        reasons=tuple(
            f"{one.label}: {reason}" if many else reason for one in tested for reason in one.shown.get("reasons", [])
        ),
    )


def _release_rows(audit: Audit, one: Tested) -> Iterator[ReleaseResult]:
    """The release at every level; then, where it bears several mark sets, each of them."""
    primary = one.shown.get("primary_levels") or [audit.plan.level]
    for level, found in measured(one.shown):
        # Old results were corrected at the plan's own level only.
        corrected = found.get("corrected") or {"p": one.row.p_corrected if level in primary else None}
        yield _row(
            audit,
            one.label,
            level,
            found,
            groups=0 if "sets" in one.shown else len(one.shown.get("pattern_names", [])),
            corrected=corrected["p"],
            conclusion=_conclusion(one.row.conclusion) if level == one.decided_by else None,
            primary=level in primary,
            test="combined" if "sets" in one.shown else one.parts[0].test,
            combined=len(one.shown.get("sets", [])),
            together=corrected.get("together", 0),
            reason=corrected.get("reason", ""),
        )
    for part in one.parts if "sets" in one.shown else []:
        for level, found in measured(part.shown):
            groups = len(part.shown.get("pattern_names", []))
            yield _row(audit, one.label, level, found, groups=groups, set=part.set, test=part.test)


def _row(audit: Audit, label: str, level: Any, found: dict[str, Any], **more: Any) -> ReleaseResult:
    counted = found["with"] if audit.plan.decide_with_references and found["with"] else found["without"]
    more = {"corrected": None, "conclusion": None, "primary": False} | more
    return ReleaseResult(
        release=label,
        level=level,
        p_without=found["p_without"],
        p_with=found["p_with"],
        smallest_p=found["smallest_p"],
        permutations=counted.get("decoys", counted.get("permutations", 0)),
        exact=counted.get("exact", True),
        **more,
    )


def score_facts(tested: list[Tested]) -> Iterator[DensityScores]:
    for one in tested:
        for part in one.parts:
            for level, found in measured(part.shown):
                yield from _decoy_scores(part, level, found) if part.test == RANK else _scores(part, level, found)


def _scores(part: Part, level: Any, found: dict[str, Any]) -> list[DensityScores]:
    """One line per pattern in shuffled order, and their mean with the mean pull (single pulls stay with the owner)."""
    values = [{name: float(d[_STORED.get(name, name)]) for name in SCORES} for d in found["densities"]]
    names = part.shown["pattern_names"]
    lines = [DensityScores(part.label, level, name, **v, set=part.set) for name, v in zip(names, values, strict=True)]
    means = {name: sum(v[name] for v in values) / len(values) for name in SCORES}
    pulls = [d["pull"] for d in part.whole["levels"][level]["densities"]]
    return [*lines, DensityScores(part.label, level, "mean", **means, pull=sum(pulls) / len(pulls), set=part.set)]


def _decoy_scores(part: Part, level: Any, found: dict[str, Any]) -> list[DensityScores]:
    """Quantiles of the decoys' scores; the true key's own stay with the owner."""
    decoys = found["densities"]["decoys"]
    return [
        DensityScores(
            part.label,
            level,
            _quantile_name(quantile),
            **{name: decoys[_STORED.get(name, name)][n] for name in SCORES},
            set=part.set,
        )
        for n, quantile in enumerate(DECOY_QUANTILES)
    ]


def _quantile_name(quantile: float) -> str:
    return "decoys, median" if quantile == 0.5 else f"decoys, {quantile * 100:.0f} % below"


def histogram_facts(tested: list[Tested]) -> Iterator[Histogram]:
    for one in tested:
        for part in one.parts:
            for level, found in measured(part.shown):
                for name in ("without", "with"):
                    if test := found[name]:
                        edges, counts, at = _bars(test)
                        yield Histogram(one.label, level, name == "with", edges, counts, at, part.set, part.test)


def _bars(test: dict[str, Any]) -> tuple[tuple[float, ...], tuple[int, ...], float]:
    if "distances" in test:
        bars, sides, at = histogram_of(test)
        return tuple(sides), tuple(bars), at
    return tuple(map(float, test["edges"])), tuple(map(int, test["counts"])), float(test["statistic"])


def control_facts(tested: list[Tested]) -> Iterator[Control]:
    """Those of the release as a whole; then, where it bears several mark sets, those of each."""
    for one in tested:
        yield from _controls(one.label, None, one.shown)
        for part in one.parts if "sets" in one.shown else []:
            yield from _controls(one.label, part.set, part.shown)


def _controls(label: str, number: int | None, result: dict[str, Any]) -> Iterator[Control]:
    for level, found in measured(result):
        for c in found["controls"]:
            yield Control(c["name"], c["kind"], label, level, float(c["p"]), c["tail"], number)


def restriction_facts(one: Tested) -> tuple[RestrictionFacts, ...]:
    """Of every mark set whose assignment was restricted: how many classes and bans, never which."""
    return tuple(
        RestrictionFacts(part.set, found["size_classes"], found["forbidden"], found["possible"])
        for part in one.parts
        if (found := part.shown.get("restriction"))
    )


def unmeasured(tested: list[Tested]) -> tuple[str, ...]:
    return tuple(
        f"{one.label}, level {level}: {found['reason']}"
        for one in tested
        for level, found in one.shown["levels"].items()
        if "reason" in found
    )


def missing_answers(tested: list[Tested]) -> int:
    """At the levels that decided."""
    return sum(one.shown["levels"][one.decided_by]["missing"] for one in tested)


def _conclusion(stored: str) -> Any:
    return stored.replace("_", " ")
