"""Reads a finished audit out of the database, as the facts that a report states. Nothing secret is read.

Results are taken in the shuffled order in which an auditor sees them, because auditors may download reports too.
"""

from datetime import datetime
from typing import Any

from django.conf import settings

from audits.models import Audit, AuditRow, RegisteredModel, Report
from audits.rank_judging import DECOY_QUANTILES
from audits.report.facts import (
    Control,
    DatasetFacts,
    DensityScores,
    Histogram,
    Party,
    PlanFacts,
    ReferenceFacts,
    ReleaseFacts,
    ReleaseResult,
    ReportFacts,
    Result,
    RunFacts,
    SuspectFacts,
)
from audits.services.audits import RANK, earlier_audits, organisations_of, shuffled_result
from audits.services.rank_charts import histogram_of
from audits.services.report_log import log_extract, time_text
from provenance.code_version import code_version
from provenance.models import LogEntry, Role, User, WatermarkKey

SCORES = ("density_gain", "divergence", "displacement", "coherence")
_STORED = {"density_gain": "gain"}  # the core's own names where they differ


def collect(report: Report, issued_at: datetime) -> ReportFacts:
    """The facts of the report's audit as they stand now; checks the chains of all logs they rest on."""
    audit = report.audit
    rows = list(audit.rows.select_related("release__key", "release__version").order_by("release__recipient", "release"))
    labels = {row.release_id: f"Release {number}" for number, row in enumerate(rows, start=1)}
    results = {labels[row.release_id]: shuffled_result(row) for row in rows}
    return ReportFacts(
        number=report.number,
        issued_at=time_text(issued_at),
        issued_by=_issuer(report),
        parties=_parties(audit),
        dataset=_dataset(audit),
        releases=tuple(_release(row, labels[row.release_id]) for row in rows),
        suspect=_suspect(audit.plan.suspect),
        references=tuple(_reference(model) for model in audit.plan.references.order_by("name", "pk")),
        plan=_plan(audit),
        run=_run(audit, results),
        result=_result(audit, rows, labels, results),
        scores=tuple(score for row in rows for score in _scores(row, labels[row.release_id])),
        histograms=tuple(h for label, result in results.items() for h in _histograms(label, result)),
        controls=tuple(
            Control(c["name"], c["kind"], label, level, float(c["p"]), c["tail"])
            for label, result in results.items()
            for level, found in _measured(result)
            for c in found["controls"]
        ),
        limitations=_unmeasured(results),
        logs=tuple(log_extract(audit, organisation) for organisation in organisations_of(audit)),
        code_version=code_version(),
        demo=settings.DEMO_FILE.exists(),
    )


def _issuer(report: Report) -> Party:
    by, owner = report.created_by, report.audit.plan.version.dataset.organisation
    home = owner if by.has_role(owner, Role.LEGAL) else report.audit.plan.organisation
    return Party("legal", home.name, by.display_name, home.contact)


def _parties(audit: Audit) -> tuple[Party, ...]:
    owner, auditor = audit.plan.version.dataset.organisation, audit.plan.organisation
    drawn_by = audit.plan.releases.order_by("recipient", "pk")[0].key.drawn_by
    locked_by = audit.plan.locked_by
    return (
        Party("rights-holder", owner.name, drawn_by.display_name, owner.contact),
        Party("auditor", auditor.name, locked_by.display_name if locked_by else "", auditor.contact),
    )


def _dataset(audit: Audit) -> DatasetFacts:
    version = audit.plan.version
    dataset = version.dataset
    return DatasetFacts(
        name=dataset.name,
        owner=dataset.organisation.name,
        licence=dataset.licence,
        contact=dataset.contact,
        modality=dataset.get_modality_display(),
        version=version.number,
        registered_at=time_text(version.ready_at),
        files=version.file_count,
        size=version.total_bytes,
        root=version.root,
        keys_dropped=version.keys.filter(state=WatermarkKey.State.DROPPED).count(),
    )


def _release(row: AuditRow, label: str) -> ReleaseFacts:
    release, key = row.release, row.release.key
    return ReleaseFacts(
        label=label,
        recipient=release.recipient,
        root=release.root,
        files=release.version.file_count,
        marked=release.marked_count,
        embedded_at=time_text(release.ready_at),
        settings=key.settings,
        commitment=key.commitment,
        committed_at=time_text(key.committed_at),
        beacon=key.beacon,
        beacon_source="the server's random generator",
        beacon_at=time_text(key.beacon_at),
        probes_digest=row.result["probes_digest"],
        psnr_mean=release.facts.get("psnr", {}).get("mean"),
        survival_least=release.facts.get("survival", {}).get("minimum"),
    )


def _suspect(model: RegisteredModel) -> SuspectFacts:
    side = model.spec.get("input_size")
    return SuspectFacts(
        name=model.name,
        digest=model.sha256,
        access="its weights",
        architecture=model.spec["architecture"],
        file=model.weights_name,
        returns=tuple(model.spec.get("returns", ())),
        input_size=(model.spec.get("channels", 3), side, side) if side else (),
        registered_at=time_text(model.created_at),
        registered_by=model.created_by.display_name,
        size=model.weights_size,
    )


def _reference(model: RegisteredModel) -> ReferenceFacts:
    by = model.declared_by or model.created_by
    return ReferenceFacts(
        name=model.name,
        digest=model.sha256,
        architecture=model.spec["architecture"],
        declaration=model.declaration,
        declared_by=by.display_name,
        declared_at=time_text(model.declared_at),
    )


def _plan(audit: Audit) -> PlanFacts:
    """What was frozen, read from the frozen text itself: the row's other columns could have been changed since."""
    plan, frozen = audit.plan, audit.plan.frozen
    return PlanFacts(
        digest=plan.digest,
        locked_at=time_text(plan.locked_at),
        locked_by=plan.locked_by.display_name if plan.locked_by else "",
        level=frozen["level"],
        levels=tuple(frozen["levels"]),
        statistic=frozen["statistic"],
        counted=frozen["counted"],
        alpha=float(frozen["alpha"]),
        permutations=frozen["decoys"] if plan.is_plain else frozen["permutations"],
        probes=frozen["probes"],
        code_version=frozen["code_version"],
        stopping_rule=_stopping_rule(frozen["stopping_rule"]),
        correction=frozen["correction"],
        test="rank" if plan.is_plain else "permutation",
    )


def _stopping_rule(frozen: Any) -> str:
    if isinstance(frozen, str):
        return frozen
    if not frozen["exceedances"]:
        return "none: every decoy key is asked"
    return (
        f"a level's test ends once {frozen['exceedances']:,} decoy keys are at least as extreme as the true one, "
        f"looked at after every {frozen['decoys_between_looks']:,} decoys"
    )


def _run(audit: Audit, results: dict[str, dict[str, Any]]) -> RunFacts:
    first = LogEntry.objects.about(audit).filter(verb="audit.started").order_by("at").first()
    devices = {model["device"] for model in audit.facts["models"]}
    missing = sum(result["levels"][audit.plan.level]["missing"] for result in results.values())
    return RunFacts(
        started_at=time_text(first.at if first else audit.created_at),
        finished_at=time_text(audit.finished_at),
        attempts=audit.job.attempt if audit.job else 1,
        earlier_runs=len(earlier_audits(audit)),
        device=", ".join(sorted(devices)),
        queries=audit.facts["forward_passes"],
        missing_answers=missing,
        nonce=audit.nonce,
    )


def _result(audit: Audit, rows: list[AuditRow], labels: dict[Any, str], results: dict[str, dict[str, Any]]) -> Result:
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
        corrected_over=audit.facts["tests"],
        rows=tuple(
            _level_row(audit, row, labels[row.release_id], level, found)
            for row in rows
            for level, found in _measured(results[labels[row.release_id]])
        ),
        reasons=tuple(
            f"{label}: {reason}" if many else reason
            for label, result in results.items()
            for reason in result.get("reasons", [])
        ),
    )


def _level_row(audit: Audit, row: AuditRow, label: str, level: Any, found: dict[str, Any]) -> ReleaseResult:
    primary = level == audit.plan.level
    counted = found["with"] if audit.plan.decide_with_references and found["with"] else found["without"]
    return ReleaseResult(
        release=label,
        level=level,
        groups=len(found.get("pulls", [])),
        p_without=found["p_without"],
        p_with=found["p_with"],
        corrected=row.p_corrected if primary else None,
        smallest_p=found["smallest_p"],
        permutations=counted["decoys"] if "decoys" in counted else counted["permutations"],
        exact=counted.get("exact", True),
        conclusion=_conclusion(row.conclusion) if primary else None,
        primary=primary,
    )


def _scores(row: AuditRow, label: str) -> list[DensityScores]:
    """One line per pattern in shuffled order, and their mean with the mean pull (single pulls stay with the owner)."""
    shuffled, lines = shuffled_result(row), []
    if shuffled.get("test") == RANK:
        return [score for level, found in _measured(shuffled) for score in _decoy_scores(label, level, found)]
    for level, found in _measured(shuffled):
        values = [{name: float(d[_STORED.get(name, name)]) for name in SCORES} for d in found["densities"]]
        names = shuffled["pattern_names"]
        lines += [DensityScores(label, level, name, **v) for name, v in zip(names, values, strict=True)]
        means = {name: sum(v[name] for v in values) / len(values) for name in SCORES}
        pulls = [d["pull"] for d in row.result["levels"][level]["densities"]]
        lines.append(DensityScores(label, level, "mean", **means, pull=sum(pulls) / len(pulls)))
    return lines


def _decoy_scores(label: str, level: Any, found: dict[str, Any]) -> list[DensityScores]:
    """Quantiles of the decoys' scores; the true key's own stay with the owner."""
    decoys = found["densities"]["decoys"]
    return [
        DensityScores(
            label, level, _quantile_name(quantile), **{name: decoys[_STORED.get(name, name)][n] for name in SCORES}
        )
        for n, quantile in enumerate(DECOY_QUANTILES)
    ]


def _quantile_name(quantile: float) -> str:
    return "decoys, median" if quantile == 0.5 else f"decoys, {quantile:.0%} below"


def _histograms(label: str, result: dict[str, Any]) -> list[Histogram]:
    found = []
    for level, one in _measured(result):
        for name in ("without", "with"):
            if (test := one[name]) and "distances" in test:
                bars, sides, at = histogram_of(test)
                found.append(Histogram(label, level, name == "with", tuple(sides), tuple(bars), at))
            elif test:
                edges, counts = tuple(map(float, test["edges"])), tuple(map(int, test["counts"]))
                found.append(Histogram(label, level, name == "with", edges, counts, float(test["statistic"])))
    return found


def _measured(result: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """The levels that could be scored, in the fixed order; the others hold a reason only."""
    levels = result["levels"]
    return [(level, levels[level]) for level in ("features", "soft", "hard") if "p" in levels.get(level, {})]


def _unmeasured(results: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    return tuple(
        f"{label}, level {level}: {found['reason']}"
        for label, result in results.items()
        for level, found in result["levels"].items()
        if "reason" in found
    )


def _conclusion(stored: str) -> Any:
    return stored.replace("_", " ")


def may_issue(user: User, audit: Audit) -> bool:
    """Legal staff of the data's owner, or of the auditor's organisation."""
    return any(user.has_role(organisation, Role.LEGAL) for organisation in organisations_of(audit))
