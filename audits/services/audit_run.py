"""The job that runs a locked plan: asks every model, scores, judges, stores one row per release.

Secrets exist inside this job only. Answers are kept per block, so another attempt goes on where this one was killed.
"""

import hashlib
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from audits.judging import Conclusion, Rules, Secrets, conclude, judge_level, sentence
from audits.measuring import Answers, Marks, Question, measure
from audits.models import Audit, AuditRow, Plan, RegisteredModel
from audits.multiplicity import holm
from audits.probe_images import load_images_once
from audits.scoring import LevelScores, score_levels
from audits.services.audits import mark_ended, shuffled_result
from audits.services.decoy_run import ask_and_judge
from audits.services.model_files import sandboxed
from audits.services.plans import PlanError, check_unchanged, earlier_rows, record
from provenance.canonical import canonical_json
from provenance.code_version import code_version
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSecret, MarkSettings
from provenance.models import Release
from provenance.services.jobs import JobRun, job_kind
from provenance.services.keys import open_secret


@dataclass
class Drawn:
    """What the key of one release decided about this audit."""

    release: Release
    secret: MarkSecret
    wrong: MarkSecret | None
    probes: list[tuple[Path, str]]
    group_images: list[tuple[Path, str]]
    group_of: np.ndarray

    @property
    def digest(self) -> str:
        """SHA-256 over the content digests of probes and group images; it goes into the log before any question."""
        lists = [[sha256 for _, sha256 in files] for files in (self.probes, self.group_images)]
        return hashlib.sha256(canonical_json(lists)).hexdigest()


@job_kind("audit.run", queue="gpu", ended=mark_ended)
def run_audit(run: JobRun) -> None:
    """Works off one audit, from its first question to its rows."""
    audit = Audit.objects.select_related("plan__suspect", "plan__version__dataset").get(pk=run.params["audit"])
    plan = audit.plan
    check_unchanged(plan)
    Audit.objects.filter(pk=audit.pk).update(state=Audit.State.RUNNING, finished_at=None)
    started = monotonic()
    run.progress(0, 0, "choosing probes")
    drawn = [_draw(plan, release, run) for release in plan.releases.order_by("recipient", "pk")]
    record(
        plan,
        "audit.started",
        by=None,
        subject=audit,
        digests={"plan": plan.digest} | {f"probes {number}": d.digest for number, d in enumerate(drawn, 1)},
        details={"attempt": run.job.attempt, "code": code_version()},
    )
    models = [plan.suspect, *plan.references.order_by("name", "pk")]
    if plan.is_plain:
        results, facts = ask_and_judge(run, audit, models, drawn, rules_of(plan))
    else:
        asked = _ask_all(run, audit, models, drawn)
        run.progress(asked.done, asked.total, "computing permutations")
        results, facts = [_judge(plan, d, models, asked, run) for d in drawn], asked.facts
    _store(audit, drawn, results, facts | {"seconds": round(monotonic() - started, 1)})
    shutil.rmtree(audit.folder / "images", ignore_errors=True)  # the answers stay


def _draw(plan: Plan, release: Release, run: JobRun) -> Drawn:
    """Probes and group images in the key's own order, none of them proposed for marking."""
    secret = open_secret(release.key)
    folder = release.version.files_folder
    with Manifest(release.version.manifest_folder) as manifest:
        if manifest.root != release.version.root:
            raise PlanError("The manifest on disk is not the one that this version was registered with.")
        counts = _group_counts(manifest, secret)
        run.checkpoint()
        excluded = {image.position for group in secret.candidates(manifest, counts) for image in group.images}
        run.checkpoint()
        probes = secret.probes(manifest, plan.probes, excluded)
        run.checkpoint()
        per_group = secret.group_images(manifest, plan.group_images, excluded | set(probes))

        def file_of(index: int) -> tuple[Path, str]:
            entry = manifest.entry(index)
            return folder / entry.path, entry.sha256

        flat = [(file_of(index), group) for group, indices in enumerate(per_group) for index in indices]
        return Drawn(
            release=release,
            secret=secret,
            wrong=_wrong_secret(plan, release, secret.settings) if plan.wrong_key_control else None,
            probes=[file_of(index) for index in probes],
            group_images=[file for file, _ in flat],
            group_of=np.array([group for _, group in flat], dtype=np.int64),
        )


def _group_counts(manifest: Manifest, secret: MarkSecret) -> list[int]:
    from provenance.marks import plan_marks

    return [group.images for group in plan_marks(manifest, secret.settings).groups]


def _wrong_secret(plan: Plan, release: Release, settings: MarkSettings) -> MarkSecret:
    """A key that nobody chose: the plan's digest fixes it, so it was fixed when the plan was locked."""
    words = [hashlib.sha256(f"touchmark/wrong key/{n}/{plan.digest}/{release.pk}".encode()).digest() for n in (1, 2)]
    return MarkSecret.derive(words[0], words[1], settings)


@dataclass
class Asked:
    """Answers of every model about every release, and what it took."""

    answers: dict[tuple[str, str], Answers]
    facts: dict[str, Any]
    done: int
    total: int


def _ask_all(run: JobRun, audit: Audit, models: list[RegisteredModel], drawn: list[Drawn]) -> Asked:
    total = sum(_passes(audit.plan, d, model) for d in drawn for model in models)
    asked = Asked({}, {"forward_passes": total, "models": []}, 0, total)
    for model in models:
        phase = f"asking {model.name}"
        run.progress(asked.done, total, f"opening {model.name}")
        begun, passes = monotonic(), asked.done
        with sandboxed(model) as session:
            size = session.info.input_shape[1]
            for d in drawn:
                question = _question(audit, d, model, size, run)

                def count(images: int, phase: str = phase) -> None:
                    asked.done += images
                    run.progress(asked.done, total, phase)

                folder = audit.folder / "answers" / str(d.release.pk) / str(model.pk)
                asked.answers[str(d.release.pk), str(model.pk)] = measure(question, folder, session, count)
            device = session.info.device
        asked.facts["models"].append(
            {
                "name": model.name,
                "role": model.role,
                "device": device,
                "forward_passes": asked.done - passes,
                "seconds": round(monotonic() - begun, 2),
            }
        )
    return asked


def _passes(plan: Plan, d: Drawn, model: RegisteredModel) -> int:
    groups = len(d.secret.patterns)
    control = groups * plan.probes if d.wrong and model.pk == plan.suspect_id else 0
    return (groups + 1) * plan.probes + len(d.group_images) + control


def _question(audit: Audit, d: Drawn, model: RegisteredModel, size: int, run: JobRun) -> Question:
    """Images are decoded once per release and size; the suspect alone is asked about the wrong key."""
    plan, kept = audit.plan, audit.folder / "images" / str(d.release.pk)
    places = [sha256 for _, sha256 in d.probes]
    marks = Marks(d.secret.settings.to_json(), d.secret.patterns, d.secret.placements(places))
    wrong = None
    if d.wrong and model.pk == plan.suspect_id:
        wrong = Marks(d.wrong.settings.to_json(), d.wrong.patterns, d.wrong.placements(places))
    return Question(
        subject=f"{model.sha256} {canonical_json(model.spec).decode()} {d.release.pk}",
        probes=load_images_once(kept / f"probes-{size}.npy", d.probes, size, lambda done: run.checkpoint()),
        group_images=load_images_once(kept / f"groups-{size}.npy", d.group_images, size, lambda done: run.checkpoint()),
        group_of=d.group_of,
        marks=marks,
        wrong_marks=wrong,
    )


def _judge(plan: Plan, d: Drawn, models: list[RegisteredModel], asked: Asked, run: JobRun) -> dict[str, Any]:
    """The result of one release at every level."""
    groups = len(d.secret.patterns)
    scored: list[dict[Any, LevelScores]] = []
    reasons: dict[Any, str] = {}
    for model in models:
        run.checkpoint()
        levels, why_not = score_levels(asked.answers[str(d.release.pk), str(model.pk)], groups, d.group_of)
        scored.append(levels)
        if model.pk == plan.suspect_id:
            reasons = why_not
        elif plan.level in why_not:
            raise PlanError(f"The reference {model.name} cannot serve: {why_not[plan.level]}")
    if plan.level in reasons:
        raise PlanError(f"The suspect cannot be tested at this level: {reasons[plan.level]}")
    secret = Secrets(d.secret.assignment, d.wrong.assignment if d.wrong else None)
    result: dict[str, Any] = {"levels": {level: {"reason": reason} for level, reason in reasons.items()}}
    for level, scores in scored[0].items():
        run.checkpoint()
        names = [model.name for model in models[1:]]
        others = {name: s[level] for name, s in zip(names, scored[1:], strict=True) if level in s}
        result["levels"][level] = judge_level(level, scores, others, secret, rules_of(plan), str(d.release.pk))
    result["level"] = plan.level
    result["groups"] = list(d.secret.settings.groups)
    result["assignment"] = d.secret.assignment.tolist()
    result["shuffle"] = {"patterns": _shuffle(groups), "groups": _shuffle(groups)}
    result["probes_digest"] = d.digest
    return result


def rules_of(plan: Plan) -> Rules:
    return Rules(plan.digest, plan.level, plan.alpha, plan.permutations, plan.decide_with_references)  # type: ignore[arg-type]


def _shuffle(count: int) -> list[int]:
    """From the operating system, and kept: an order that follows from public values would hide nothing."""
    order = list(range(count))
    secrets.SystemRandom().shuffle(order)
    return order


def _store(audit: Audit, drawn: list[Drawn], results: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    """Corrects, concludes and writes everything in one transaction; a second attempt replaces nothing that ended."""
    plan, rules = audit.plan, rules_of(audit.plan)
    with transaction.atomic():
        earlier = [row.p for row in earlier_rows(plan)]
        found = [result["levels"][plan.level] for result in results]
        corrected = holm([level["p"] for level in found] + earlier)[: len(found)]
        AuditRow.objects.filter(audit=audit).delete()
        conclusions: list[Conclusion] = []
        digests = {}
        for d, result, level, p in zip(drawn, results, found, corrected, strict=True):
            conclusion, reasons = conclude(level, p, rules)
            conclusions.append(conclusion)
            result |= {"reasons": reasons, "tests": len(found) + len(earlier)}
            row = AuditRow.objects.create(
                audit=audit,
                release=d.release,
                conclusion=conclusion,
                p=level["p"],
                p_corrected=p,
                smallest_p=level["smallest_p"],
                result=result,
            )
            public = hashlib.sha256(canonical_json(shuffled_result(row))).hexdigest()
            digests[f"result {d.release.pk}"] = public
        audit.conclusion, audit.sentence = _overall(plan, drawn, conclusions)
        audit.facts = facts | {"code_version": code_version(), "tests": len(found) + len(earlier)}
        audit.state, audit.finished_at = Audit.State.DONE, timezone.now()
        audit.save()
        details = {"conclusion": audit.conclusion, "forward passes": facts["forward_passes"]}
        record(plan, "audit.finished", by=None, subject=audit, digests={"plan": plan.digest} | digests, details=details)


def _overall(plan: Plan, drawn: list[Drawn], conclusions: list[Conclusion]) -> tuple[Conclusion, str]:
    """The audit's own conclusion: that of its strongest row, and a sentence that names those releases."""
    order: tuple[Conclusion, ...] = ("evidence", "inconclusive", "no_evidence")
    strongest = next(conclusion for conclusion in order if conclusion in conclusions)
    pairs = zip(drawn, conclusions, strict=True)
    named = [d.release.recipient for d, conclusion in pairs if conclusion == strongest]
    return strongest, sentence(strongest, plan.suspect.name, named)
