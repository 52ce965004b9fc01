"""The verdicts of other tests as rows of a table, each beside how often that test rejects innocent models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.judging.result import OtherTest
from audits.models import AuditRow, Plan
from audits.other_tests.verdict import DISCLAIMER
from audits.services.calibrations.notes import facts_for
from audits.services.plans.values import words_of

SHOWN_ALPHA = 0.05
Rates = Mapping[tuple[str, str, str], dict[str, Any]]


@dataclass(frozen=True)
class VerdictRow:
    """One verdict about one release, or about one of its mark sets. images: how many stand behind it.

    innocent: how often this test rejected models that never saw a release, at 0.05, in a calibration of this family
    of marks (rate, low and high of its interval, and more); None where none covers it. worth: what its number is, where
    that is more than those of tests that count images are worth.
    """

    test: str
    level: str
    set: int | None
    nominal_p: float
    images: int
    source: str
    innocent: dict[str, Any] | None
    worth: str = ""

    @property
    def level_label(self) -> str:
        return Plan.Level(self.level).label


def told_of(row: AuditRow) -> dict[str, Any]:
    """What the result page shows of other tests; nothing at all for audits of earlier versions, which never asked."""
    verdicts = verdict_rows(row, innocent_rates(facts_for(row.audit))) if row.found.other_tests else []
    return {
        "verdicts": verdicts,
        "sources": sources_of(verdicts),
        "worths": worths_of(verdicts),
        "choice": words_of([row.release]),
        "count_images": not verdicts or any(not verdict.worth for verdict in verdicts),
        "left_out": left_out(row),
        "several_sets": any(verdict.set for verdict in verdicts),
        "calibrated": any(verdict.innocent for verdict in verdicts),
    }


def innocent_rates(calibration: Mapping[str, Any] | None) -> Rates:
    """By test, level and family of marks; calibration as in `notes.facts_for` of calibrations."""
    return {
        (line["test"], line["level"], line["family"]): item
        for line in (calibration["others"] if calibration else [])
        for item in line["rejections"]
        if item["alpha"] == SHOWN_ALPHA
    }


def verdict_rows(row: AuditRow, rates: Rates) -> list[VerdictRow]:
    """What other tests said about a release, in the order of the run; audits of earlier versions hold none."""
    sets = row.release.key.mark_sets
    families = [*(settings.family for settings in sets.struck), *([""] if sets.choice else [])]

    def one(found: OtherTest) -> VerdictRow:
        family = families[(found.set or 1) - 1]  # "" of a keyed choice, which no calibration covers
        return VerdictRow(
            test=found.test,
            level=found.level,
            set=found.set,
            nominal_p=float(found.nominal_p),
            images=found.samples,
            source=found.source,
            innocent=rates.get((found.test, found.level, family)),
            worth="" if found.disclaimer == DISCLAIMER else found.disclaimer,
        )

    return [one(found) for found in row.found.other_tests or ()]


def sources_of(rows: Sequence[VerdictRow]) -> list[tuple[str, list[str]]]:
    """Where the tests are described, and which each describes."""
    return _tests_by((row.source, row.test) for row in rows)


def worths_of(rows: Sequence[VerdictRow]) -> list[tuple[str, list[str]]]:
    """What the numbers of some tests are worth, and of which."""
    return _tests_by((row.worth, row.test) for row in rows if row.worth)


def _tests_by(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    named: dict[str, list[str]] = {}
    for text, test in pairs:
        tests = named.setdefault(text, [])
        if test not in tests:
            tests.append(test)
    return list(named.items())


def left_out(row: AuditRow) -> list[str]:
    """What was left out, as sentences; one reason for all mark sets and levels that share it is said once."""
    named: dict[tuple[str, str], list[str]] = {}
    for one in row.found.left_out or ():
        places = named.setdefault((one.test, one.reason), [])
        parts = [f"mark set {one.set}"] if one.set else []
        parts += [str(Plan.Level(one.level).label)] if one.level else []
        if parts:
            places.append(", ".join(parts))
    return [
        f"{test} ({'; '.join(places)}): {reason}" if places else f"{test}: {reason}"
        for (test, reason), places in named.items()
    ]
