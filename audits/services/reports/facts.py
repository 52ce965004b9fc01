"""Reads a finished audit out of the database, as the facts that a report states. Nothing secret is read.

Results are taken as an auditor sees them, because auditors may download reports too.
"""

from datetime import datetime
from typing import Any

from django.conf import settings

from audits.models import Audit, RegisteredModel, Report
from audits.report.facts import (
    DatasetFacts,
    HeldOutFacts,
    Party,
    PlanFacts,
    ReferenceFacts,
    ReleaseFacts,
    ReportFacts,
    RunFacts,
    SuspectFacts,
    TestName,
)
from audits.services.calibrations.notes import facts_for
from audits.services.code_version import code_version
from audits.services.models.identity import other_names
from audits.services.pilots.forecasts import of_plan, was_made
from audits.services.plans.exposed import exposure_of_run
from audits.services.plans.frozen import CAPTIONS_LEFT_OUT
from audits.services.plans.series import other_runs, other_weights
from audits.services.reports.keys import keys_facts
from audits.services.reports.log import log_extract, time_text
from audits.services.reports.other_tests import calibration_facts, other_tests, tests_left_out
from audits.services.reports.results import (
    Tested,
    choice_counts,
    control_facts,
    histogram_facts,
    membership_facts,
    missing_answers,
    restriction_facts,
    result_facts,
    score_facts,
    unmeasured,
)
from provenance.models import LogEntry, Role, User, WatermarkKey
from provenance.wording import count


def collect(report: Report, issued_at: datetime) -> ReportFacts:
    """The facts of the report's audit as they stand now; checks the chains of all logs they rest on."""
    audit = report.audit
    rows = list(audit.rows.select_related("release__key", "release__version").order_by("release__recipient", "release"))
    tested = [Tested.of(row, f"Release {number}") for number, row in enumerate(rows, start=1)]
    calibration = facts_for(audit)
    return ReportFacts(
        number=report.number,
        issued_at=time_text(issued_at),
        issued_by=_issuer(report),
        parties=_parties(audit),
        dataset=_dataset(audit),
        releases=tuple(_release(one) for one in tested),
        suspect=_suspect(audit.plan.suspect),
        references=tuple(_reference(model) for model in audit.plan.references.order_by("name", "pk")),
        plan=_plan(audit),
        run=_run(audit, tested),
        result=result_facts(audit, tested),
        scores=tuple(score_facts(tested)),
        histograms=tuple(histogram_facts(tested)),
        controls=tuple(control_facts(tested)),
        limitations=unmeasured(tested),
        logs=tuple(log_extract(audit, organisation) for organisation in audit.organisations),
        code_version=code_version(),
        demo=settings.DEMO_FILE.exists(),
        other_tests=other_tests(tested, calibration),
        other_tests_left_out=tests_left_out(tested),
        calibration=calibration_facts(calibration),
        keys=keys_facts(audit),
        memberships=tuple(membership_facts(tested)),
        pilots=_pilots(audit),
    )


def _pilots(audit: Audit) -> tuple[str, ...]:
    told = of_plan(audit.plan.releases.order_by("recipient", "pk"), audit.plan.locked_at)
    return tuple(told) if was_made(told) else ()


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


def _release(one: Tested) -> ReleaseFacts:
    release, key = one.row.release, one.row.release.key
    versions = release.facts.get("versions", {})
    return ReleaseFacts(
        label=one.label,
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
        probes_digest=one.shown.probes_digest,
        psnr_mean=release.facts.get("psnr", {}).get("mean"),
        survival_least=release.facts.get("survival", {}).get("minimum"),
        restrictions=restriction_facts(one),
        outlets=release.get_outlets_display() if release.outlets else "",
        exposure=exposure_of_run(one.row.audit, release),
        in_versions=versions.get("images", 0),
        versions_psnr_mean=versions.get("psnr", {}).get("mean"),
        **choice_counts(one),
    )


def _suspect(model: RegisteredModel) -> SuspectFacts:
    side = model.spec.get("input_size")
    known = other_names(model, RegisteredModel.objects.filter(organisation=model.organisation))
    return SuspectFacts(
        name=model.name,
        digest=model.sha256,
        access="its weights",
        architecture=model.spec["architecture"],
        file=model.weights_name,
        returns=tuple(model.spec.get("returns", ())),
        top_k=model.spec.get("top_k"),
        input_size=(model.spec.get("channels", 3), side, side) if side else (),
        registered_at=time_text(model.created_at),
        registered_by=model.created_by.display_name,
        size=model.weights_size,
        origin=model.origin,
        tensors=model.identity.get("tensors", ""),
        also_registered=tuple(other.name for other, _ in known.seen),
        registered_elsewhere=known.elsewhere,
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
        origin=model.origin,
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
        permutations=frozen.get("permutations", frozen.get("decoys", 0)),
        probes=frozen["probes"],
        code_version=frozen["code_version"],
        stopping_rule=_stopping_rule(frozen["stopping_rule"]),
        correction=frozen["correction"],
        test=_test(frozen),
        primary_levels=tuple(frozen.get("primary_levels", ())),
        series_is_open=frozen.get("series_is_open", False),
        held_out=HeldOutFacts(**frozen["held_out"]) if frozen.get("held_out") else None,
        decoys=frozen["decoys"] if "permutations" in frozen and "decoys" in frozen else 0,
        combination=frozen.get("combination", ""),
        exploratory=frozen.get("exploratory", False),
        views=frozen.get("views", 0),
        smallest_crop=frozen.get("smallest_crop", 0.0),
        membership_score=frozen.get("membership_score", ""),
        captions_left_out=frozen.get(CAPTIONS_LEFT_OUT, ""),
        recipient_at_issue=frozen["releases"][0]["recipient"] if frozen.get("recipient_at_issue") is True else "",
        looks_rule=frozen["looks_rule"] if frozen.get("looks", 1) > 1 and _test(frozen) != "choice" else "",
    )


def _test(frozen: dict[str, Any]) -> TestName:
    """A plan that asks about decoys and permutations alike has mark sets of both kinds; one of neither, no marks."""
    if not {"decoys", "permutations"} & set(frozen):
        return "choice"
    if "decoys" not in frozen:
        return "permutation"
    return "mixed" if "permutations" in frozen else "rank"


def _stopping_rule(frozen: Any) -> str:
    if isinstance(frozen, str):
        return frozen
    if not frozen["exceedances"]:
        return "none: every decoy key is asked"
    return (
        f"a level's test ends once {count(frozen['exceedances'])} decoy keys are at least as extreme as the true one, "
        f"looked at after every {count(frozen['decoys_between_looks'])} decoys"
    )


def _run(audit: Audit, tested: list[Tested]) -> RunFacts:
    first = LogEntry.objects.about(audit).filter(verb="audit.started").order_by("at").first()
    others, again = other_weights(audit), other_runs(audit)
    devices = {model["device"] for model in audit.facts["models"]}
    return RunFacts(
        started_at=time_text(first.at if first else audit.created_at),
        finished_at=time_text(audit.finished_at),
        attempts=audit.job.attempt if audit.job else 1,
        earlier_runs=len(again.earlier),
        device=", ".join(sorted(devices)),
        queries=audit.facts["forward_passes"],
        missing_answers=missing_answers(tested),
        other_runs=others.runs,
        other_weights=others.files,
        later_runs=len(again.later),
        nonce=audit.nonce,
    )


def may_issue(user: User, audit: Audit) -> bool:
    """Legal staff of the data's owner, or of the auditor's organisation."""
    return any(user.has_role(organisation, Role.LEGAL) for organisation in audit.organisations)
