"""The verdicts of other verifiers as rows of a table, each beside how often that test rejects innocent models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audits.models import AuditRow, Plan
from audits.services.calibrations.notes import facts_for

SHOWN_ALPHA = 0.05
Rates = Mapping[tuple[str, str, str], dict[str, Any]]


@dataclass(frozen=True)
class VerdictRow:
    """One verdict about one release, or about one of its mark sets. images: how many stand behind it.

    innocent: how often this test rejected models that never saw a release, at 0.05, in a calibration of this family
    of marks (rate, low and high of its interval, and more); None where none covers it.
    """

    verifier: str
    level: str
    set: int | None
    nominal_p: float
    images: int
    source: str
    innocent: dict[str, Any] | None

    @property
    def level_label(self) -> str:
        return Plan.Level(self.level).label


def told_of(row: AuditRow) -> dict[str, Any]:
    """What the result page shows of other tests; nothing at all for audits of earlier versions, which never asked."""
    told = row.result.get("verifiers")
    verdicts = verdict_rows(row, innocent_rates(facts_for(row.audit))) if told else []
    return {
        "verdicts": verdicts,
        "sources": sources_of(verdicts),
        "left_out": left_out(row),
        "several_sets": any(verdict.set for verdict in verdicts),
        "calibrated": any(verdict.innocent for verdict in verdicts),
    }


def innocent_rates(calibration: Mapping[str, Any] | None) -> Rates:
    """By verifier, level and family of marks; calibration as in `notes.facts_for` of calibrations."""
    return {
        (line["test"], line["level"], line["family"]): item
        for line in (calibration["others"] if calibration else [])
        for item in line["rejections"]
        if item["alpha"] == SHOWN_ALPHA
    }


def verdict_rows(row: AuditRow, rates: Rates) -> list[VerdictRow]:
    """What other verifiers said about a release, in the order of the run; audits of earlier versions hold none."""
    families = [settings.family for settings in row.release.key.mark_sets]

    def one(facts: Mapping[str, Any]) -> VerdictRow:
        family = families[(facts["set"] or 1) - 1]
        return VerdictRow(
            verifier=facts["verifier"],
            level=facts["level"],
            set=facts["set"],
            nominal_p=float(facts["nominal_p"]),
            images=int(facts["samples"]),
            source=facts["source"],
            innocent=rates.get((facts["verifier"], facts["level"], family)),
        )

    return [one(facts) for facts in row.result.get("verifiers", [])]


def sources_of(rows: Sequence[VerdictRow]) -> list[tuple[str, list[str]]]:
    """Where the tests are described, and which each describes."""
    named: dict[str, list[str]] = {}
    for row in rows:
        tests = named.setdefault(row.source, [])
        if row.verifier not in tests:
            tests.append(row.verifier)
    return list(named.items())


def left_out(row: AuditRow) -> list[str]:
    """What was left out, as sentences; one reason for all mark sets and levels that share it is said once."""
    named: dict[tuple[str, str], list[str]] = {}
    for facts in row.result.get("verifiers_left_out", []):
        places = named.setdefault((facts["verifier"], facts["reason"]), [])
        parts = [f"mark set {facts['set']}"] if facts.get("set") else []
        parts += [Plan.Level(facts["level"]).label] if facts.get("level") else []
        if parts:
            places.append(", ".join(parts))
    return [
        f"{verifier} ({'; '.join(places)}): {reason}" if places else f"{verifier}: {reason}"
        for (verifier, reason), places in named.items()
    ]
