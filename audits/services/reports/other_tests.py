"""What a report states about other tests and about the calibration; neither decides anything."""

from __future__ import annotations

from typing import Any

from audits.report.results import CalibratedTest, CalibrationFacts, OtherTest, Rate
from audits.services.reports.results import Tested
from audits.services.results.other_tests import innocent_rates, left_out, verdict_rows


def other_tests(tested: list[Tested], calibration: dict[str, Any] | None) -> tuple[OtherTest, ...]:
    """Every verdict of the audit, each beside how often that test accuses innocent models."""
    rates = innocent_rates(calibration)
    return tuple(
        OtherTest(
            release=one.label,
            set=verdict.set,
            level=verdict.level,  # type: ignore[arg-type]
            test=verdict.test,
            nominal_p=verdict.nominal_p,
            images=verdict.images,
            source=verdict.source,
            innocent=_rate(verdict.innocent) if verdict.innocent else None,
            worth=verdict.worth,
        )
        for one in tested
        for verdict in verdict_rows(one.row, rates)
    )


def tests_left_out(tested: list[Tested]) -> tuple[str, ...]:
    """As sentences; one that holds for every release names none."""
    by_release = {one.label: left_out(one.row) for one in tested}
    common = [text for text in by_release[tested[0].label] if all(text in texts for texts in by_release.values())]
    own = [f"{label}: {text}" for label, texts in by_release.items() for text in texts if text not in common]
    return (*common, *own)


def calibration_facts(found: dict[str, Any] | None) -> CalibrationFacts | None:
    """found: as `calibration_notes.facts_for` describes it."""
    if found is None:
        return None
    plain = ("id", "code_version", "audit_code_version", "same_code", "holds", "sentence", "others_sentence", "pairs")
    return CalibrationFacts(
        **{name: found[name] for name in plain},
        calibrated_at=found["calibrated_at"],
        null_models=found["null_models"],
        families_missing=tuple(found["families_missing"]),
        differences=tuple(found["differences"]),
        rows=tuple(_line(row) for row in found["rows"]),
        others=tuple(_line(row) for row in found["others"]),
    )


def _line(row: dict[str, Any]) -> CalibratedTest:
    return CalibratedTest(
        test=row["test"],
        level=row["level"],
        family=row["family"],
        references=row["references"],
        pairs=row["pairs"],
        rejections=tuple(_rate(item) for item in row["rejections"]),
    )


def _rate(item: dict[str, Any]) -> Rate:
    return Rate(item["alpha"], item["count"], item["rate"], item["low"], item["high"], item["finding"])
