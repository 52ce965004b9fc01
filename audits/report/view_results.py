"""What a report shows of its measurements: tests, charts, controls, scores, other tests, calibration, all as text."""

from collections.abc import Iterable
from typing import Any

from audits.judging.controls import is_small, small_ones
from audits.report.charts import chart, drawn
from audits.report.facts import ReleaseFacts, ReportFacts
from audits.report.memberships import membership_row
from audits.report.results import (
    CalibratedTest,
    CalibrationFacts,
    Control,
    OtherTest,
    Rate,
    ReleaseResult,
)
from audits.report.wording import LEVEL_NAMES, short_time
from audits.report.words_of_test import WORDS
from provenance.wording import count, counted, p_value, rate, significant, verdict

MOST_CONTROLS = 24  # with more controls than this, only those at the deciding levels are printed
MOST_OTHERS = 40  # likewise for what other tests say
MOST_OF_SETS = 36  # and for mark sets by themselves
MOST_CALIBRATED = 18  # with more lines of a calibration, only those of the p that counts at the deciding levels


def results_view(facts: ReportFacts) -> dict[str, Any]:
    """Every key of the page's data that rests on a measurement."""
    charts = drawn(facts)
    controls, others = _printed_controls(facts), _printed_others(facts)
    return {
        "counted": facts.plan.counted,
        "levels_text": _levels_text(facts),
        "results": [_result(facts, row) for row in facts.result.rows if row.set is None],
        "bases": _bases(facts),
        "corrections": _corrections(facts),
        "sets": [_of_set(facts, row) for row in _printed_sets(facts)],
        "sets_left": sum(row.set is not None for row in facts.result.rows) - len(_printed_sets(facts)),
        "combination": facts.plan.combination,
        "restrictions": [text for release in facts.releases for text in _restrictions(release)],
        "charts": [chart(histogram, WORDS[histogram.test or facts.plan.test]) for histogram in charts],
        "undrawn": len(facts.histograms) - len(charts),
        "controls": [
            [
                named(c.release, c.set),
                LEVEL_NAMES[c.level],
                _control_name(c),
                "high" if c.tail == "high" else "low",
                p_value(c.p, facts.plan.alpha) + (" (small)" if is_small(c.p) else ""),
            ]
            for c in controls
        ],
        "controls_sentence": small_ones([c.p for c in facts.controls], facts.plan.alpha) if controls else "",
        "controls_left": _controls_left(facts, controls),
        "scores": [
            [named(s.release, s.set, "set"), LEVEL_NAMES[s.level], s.pattern]
            + [significant(v) for v in (s.density_gain, s.divergence, s.displacement, s.coherence)]
            + ["–" if s.pull is None else significant(s.pull)]
            for s in facts.scores
        ],
        "memberships": [membership_row(one, LEVEL_NAMES[one.level], facts.plan.alpha) for one in facts.memberships],
        "others": [_other(other) for other in others],
        "others_left": len(facts.other_tests) - len(others),
        "others_count_images": any(not other.worth for other in facts.other_tests),
        "others_worths": _tests_by((other.worth, other.test) for other in facts.other_tests if other.worth),
        "others_sources": _sources(facts),
        "others_left_out": list(facts.other_tests_left_out),
        "calibration": _calibration(facts),
    }


def named(release: str, number: int | None, word: str = "mark set") -> str:
    return release if number is None else f"{release}, {word} {number}"


def _levels_text(facts: ReportFacts) -> str:
    rows = [row for row in facts.result.rows if row.set is None]
    if not any(row.reason for row in rows):  # an old report
        return (
            "The rows in bold are those of the level that the plan named; they decide the finding. The other levels "
            "stand beside them for information and are not corrected."
        )
    text = (
        "The rows in bold are those of primary levels, which the plan named before the run: their corrected p decides "
        "the finding, and the conclusion stands at the level that did decide."
    )
    if all(row.primary for row in rows):
        return text
    return (
        f"{text} The other levels are secondary. They never decide, and their p is corrected over all tests, primary "
        "and secondary, so that whoever reads one of them as evidence is protected as well."
    )


def _result(facts: ReportFacts, row: ReleaseResult) -> dict[str, Any]:
    alpha = facts.plan.alpha
    return {
        "cells": [
            row.release,
            LEVEL_NAMES[row.level],
            _shown(row.p_without, alpha),
            _shown(row.p_with, alpha),
            _shown(row.corrected, alpha),
            p_value(row.smallest_p, alpha),
            row.conclusion or "–",
        ],
        "primary": row.primary,
    }


def _bases(facts: ReportFacts) -> list[list[str]]:
    """What the tests rest on: every basis once, with the tests that share it."""
    found: dict[str, list[str]] = {}
    for row in facts.result.rows:
        if row.set is None:
            found.setdefault(_basis(facts, row), []).append(f"{row.release}, {LEVEL_NAMES[row.level]}")
    return [["; ".join(tests), basis] for basis, tests in found.items()]


def _shown(p: float | None, alpha: float) -> str:
    return "–" if p is None else p_value(p, alpha)


def _basis(facts: ReportFacts, row: ReleaseResult) -> str:
    """What a p-value compares with what."""
    test = row.test or facts.plan.test
    if test == "combined":
        return f"{row.combined} mark sets with secrets of their own, combined"
    if test == "choice":
        return f"{count(row.permutations)} {facts.choice.basis}"
    if test == "rank":
        return f"{count(row.permutations)} decoy keys"
    release = next(release for release in facts.releases if release.label == row.release)
    restricted = any(one.set == row.set for one in release.restrictions)
    what = "allowed assignments" if restricted else "permutations"
    return f"{row.groups} groups, {'all ' if row.exact else ''}{count(row.permutations)} {what}"


def _corrections(facts: ReportFacts) -> list[list[str]]:
    """Why p-values were corrected as they were: every sentence once, with the tests it is said of."""
    said: dict[str, list[str]] = {}
    for row in facts.result.rows:
        if row.reason:
            said.setdefault(row.reason, []).append(f"{row.release}, {LEVEL_NAMES[row.level]}")
    return [["; ".join(tests), reason] for reason, tests in said.items()]


def _printed_sets(facts: ReportFacts) -> list[ReleaseResult]:
    found = [row for row in facts.result.rows if row.set is not None]
    return found if len(found) <= MOST_OF_SETS else [row for row in found if row.level in facts.plan.deciding]


def _of_set(facts: ReportFacts, row: ReleaseResult) -> list[str]:
    alpha = facts.plan.alpha
    release = next(release for release in facts.releases if release.label == row.release)
    settings = release.mark_sets[(row.set or 1) - 1]
    way = "plain" if settings.get("association") == "plain" else "associated"
    kind = facts.choice.subject if row.test == "choice" else f"{settings.get('family', '')}, {way}"
    return [
        named(row.release, row.set),
        kind,
        LEVEL_NAMES[row.level],
        _shown(row.p_without, alpha),
        _shown(row.p_with, alpha),
        p_value(row.smallest_p, alpha),
        _basis(facts, row),
    ]


def _restrictions(release: ReleaseFacts) -> list[str]:
    """Restricted assignments in words, without saying which patterns and groups they concern."""
    found = []
    for one in release.restrictions:
        rules = []
        if one.classes > 1:
            rules.append(f"patterns were exchanged only within {one.classes} classes of groups of like size")
        if one.forbidden:
            pairs = (
                "1 pair of a pattern and a group was" if one.forbidden == 1 else f"{count(one.forbidden)} pairs were"
            )
            rules.append(f"{pairs} ruled out")
        left = f"{count(one.possible)} assignments" if one.possible else "more assignments than can be counted"
        found.append(
            f"{named(release.label, one.set)}: {' and '.join(rules)}, before the key was drawn. The key chose among "
            f"{left}, and the test compares with these alone."
        )
    return found


def _control_name(control: Control) -> str:
    match control.kind:
        case "reference":
            return f"{control.name}, tested alone"
        case "reference left out":
            return f"{control.name}, the other references set aside"
        case _:
            return control.name


def _printed_controls(facts: ReportFacts) -> list[Control]:
    """All of them; of many those of whole releases, and of more still those at the deciding levels."""
    found = list(facts.controls)
    if len(found) > MOST_CONTROLS:
        found = [control for control in found if control.set is None] or found
    if len(found) > MOST_CONTROLS:
        found = [control for control in found if control.level in facts.plan.deciding]
    return found


def _controls_left(facts: ReportFacts, printed: list[Control]) -> str:
    """Which controls are not printed, as a sentence; "" where all are."""
    if len(printed) == len(facts.controls):
        return ""
    whole = " of whole releases" if any(control.set is not None for control in facts.controls) else ""
    levels = (
        " at the deciding levels" if len({c.level for c in printed}) < len({c.level for c in facts.controls}) else ""
    )
    return f"Only the controls{whole}{levels} are printed; the others stand in the JSON form of this report."


def _printed_others(facts: ReportFacts) -> list[OtherTest]:
    if len(facts.other_tests) <= MOST_OTHERS:
        return list(facts.other_tests)
    return [other for other in facts.other_tests if other.level in facts.plan.deciding]


def _other(other: OtherTest) -> list[str]:
    innocent = "not calibrated" if other.innocent is None else _rate(other.innocent)
    place = named(other.release, other.set)
    # A test of many images may give a number too small for a float.
    nominal = p_value(other.nominal_p) if other.nominal_p > 0 else "0"
    return [place, LEVEL_NAMES[other.level], other.test, nominal, innocent, count(other.images)]


def _sources(facts: ReportFacts) -> str:
    """Where the tests are described: "Li et al. 2023 (paired t-test; …)"."""
    return "; ".join(
        f"{source} ({names})" for source, names in _tests_by((o.source, o.test) for o in facts.other_tests)
    )


def _tests_by(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(text, tests that it is true of), in the order of the first of them."""
    tests: dict[str, list[str]] = {}
    for text, test in pairs:
        known = tests.setdefault(text, [])
        if test not in known:
            known.append(test)
    return [(text, "; ".join(names)) for text, names in tests.items()]


def _rate(found: Rate) -> str:
    return f"{rate(found.rate)} ({rate(found.low)}–{rate(found.high)})"


def _calibration(facts: ReportFacts) -> dict[str, Any] | None:
    found = facts.calibration
    if found is None:
        return None
    same = "the code that this audit ran with" if found.same_code else f"this audit ran with {found.audit_code_version}"
    kinds = ", ".join(counted(number, f"{kind} model") for kind, number in found.null_models.items() if number)
    missing = ", ".join(found.families_missing)
    printed = _printed_lines(facts, found)
    return {
        "sentence": found.sentence,
        "others_sentence": found.others_sentence,
        "rows": [
            ["Calibration", f"{found.id}, finished {short_time(found.calibrated_at)} UTC"],
            ["Error rate of the tests", verdict(found.holds)],
            ["Code", f"{found.code_version}; {same}"],
            ["Models that never saw a release", kinds],
            *([["Not calibrated", f"the family {missing}, which this audit uses"]] if missing else []),
        ],
        "differences": list(found.differences),
        "lines": [_line(line) for line in printed],
        "lines_left": len(found.rows) - len(printed),
        "alphas": [f"Rejected at {one.alpha:g}" for line in found.rows[:1] for one in line.rejections],
    }


def _printed_lines(facts: ReportFacts, found: CalibrationFacts) -> list[CalibratedTest]:
    if len(found.rows) <= MOST_CALIBRATED:
        return list(found.rows)
    counted, levels = facts.plan.counted == "with references", facts.plan.deciding
    return [line for line in found.rows if line.level in levels and line.references == counted]


def _line(line: CalibratedTest) -> list[str]:
    return [
        f"{line.test} ({line.family})",
        LEVEL_NAMES[line.level],
        "with" if line.references else "without",
        count(line.pairs),
        *(_rate(one) for one in line.rejections),
    ]
