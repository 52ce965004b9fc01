"""A finished audit in the database: rows made by the real judging from made-up pulls, logged as the services do."""

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from audits.judging import codec
from audits.judging.assignments import CorrectedP, Rules, Secrets, conclude, judge_level, sentence
from audits.judging.result import AssociatedResult, Shuffle
from audits.judging.scoring import LevelScores
from audits.models import Audit, AuditRow, Plan, RegisteredModel
from audits.services.code_version import code_version
from audits.services.plans.frozen import digest_of, frozen_text
from audits.services.plans.locking import record
from audits.services.plans.values import values_of
from audits.statistics.density import LEVELS, DensityScores
from audits.statistics.multiplicity import holm
from provenance.models import Dataset, DatasetGrant, Job, Organisation, Release, User, Version, WatermarkKey
from provenance.services import log
from tests.world import World

GROUPS = ["bird", "boat", "cat", "car", "dog", "frog"]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def level_scores(seed: int, strength: float) -> LevelScores:
    rng = np.random.default_rng(seed)
    count = len(GROUPS)
    pulls = rng.normal(0, 0.01, (count, count))
    pulls[np.arange(count), assignment()] += strength
    densities = tuple(DensityScores(*(float(v) for v in rng.normal(0.01, 0.002, 4))) for _ in GROUPS)
    return LevelScores(pulls, densities, rng.normal(0, 0.01, (count, count)), 0)


def assignment() -> np.ndarray:
    return np.array([2, 0, 1, 5, 3, 4])


def model(organisation: Organisation, by: User, name: str, role: str = "suspect") -> RegisteredModel:
    made = RegisteredModel.objects.create(
        organisation=organisation,
        role=role,
        name=name,
        spec={
            "architecture": "timm:resnet18",
            "returns": ["features", "soft", "hard"],
            "input_size": 32,
            "channels": 3,
        },
        weights="weights/none",
        weights_name=f"{name}.safetensors",
        weights_size=1_234_567,
        sha256=sha(name),
        declaration="Trained before the release was made." if role == "reference" else "",
        declared_by=by if role == "reference" else None,
        declared_at=timezone.now() if role == "reference" else None,
        created_by=by,
    )
    verb = "reference.declared" if role == "reference" else "model.registered"
    log.record(verb, made, organisation=organisation, by=by, digests={"weights": made.sha256})
    return made


ONE_SET = {"family": "patch", "association": "associated", "group_by": "class", "groups": GROUPS, "share": 0.1}


def release(world: World, version: Version, recipient: str, settings: dict | None = None) -> Release:
    now = timezone.now()
    key = WatermarkKey.objects.create(
        version=version,
        state="embedded",
        sealed=b"sealed",
        settings=settings or ONE_SET,
        commitment=sha(f"commitment {recipient}"),
        committed_at=now,
        beacon=sha(f"beacon {recipient}"),
        beacon_at=now + timedelta(milliseconds=1),
        drawn_by=world.rights_holder,
    )
    made = Release.objects.create(
        version=version,
        key=key,
        recipient=recipient,
        state="ready",
        root=sha(f"root {recipient}"),
        marked_count=60,
        facts={"psnr": {"mean": 22.5}, "survival": {"minimum": 0.83}},
        created_by=world.rights_holder,
        ready_at=now + timedelta(milliseconds=2),
    )
    by, owner = world.rights_holder, world.owner
    log.record("key.committed", key, organisation=owner, by=by, digests={"commitment": key.commitment})
    log.record("release.embedded", made, organisation=owner, by=by, digests={"root": made.root})
    return made


def version(world: World, name: str = "Meadows") -> Version:
    dataset = Dataset.objects.create(organisation=world.owner, name=name, created_by=world.rights_holder)
    made = Version.objects.create(
        dataset=dataset,
        number=1,
        state="ready",
        source="upload",
        source_name="meadows.zip",
        root=sha(name),
        file_count=600,
        total_bytes=9_000_000,
        created_by=world.rights_holder,
        ready_at=timezone.now(),
        compared_at=timezone.now(),
    )
    log.record("version.ready", made, organisation=world.owner, by=None, digests={"root": made.root})
    return made


def finished_audit(
    world: World, *, auditor: User | None = None, recipients: tuple[str, ...] = ("Northgate",), strength: float = 0.2
) -> Audit:
    """An audit of `recipients`' copies; the first one is found if `strength` is large and none if it is 0.

    Its rows are those of earlier versions of the code: one level decides, and no other test was asked.
    """
    audit = started_audit(world, auditor or world.auditor, recipients)
    _judge(audit, strength)
    record(audit.plan, "audit.finished", by=None, subject=audit)
    return audit


def started_audit(
    world: World, by: User, recipients: tuple[str, ...], settings: dict | None = None, **choices: Any
) -> Audit:
    """A locked plan and its run, which has asked nothing yet; choices: fields of the plan."""
    home = world.laboratory if by == world.guest_auditor else world.owner
    data = version(world)
    releases = [release(world, data, recipient, settings) for recipient in recipients]  # before the suspect is seen
    if home != world.owner:
        DatasetGrant.objects.create(dataset=data.dataset, auditor=by, granted_by=world.rights_holder)
    plan = Plan.objects.create(
        organisation=home,
        name="Was it Northgate?",
        version=data,
        suspect=model(home, by, "suspect-1"),
        permutations=10_000,
        created_by=by,
        **choices,
    )
    plan.releases.set(releases)
    plan.references.set([model(home, by, f"reference-{n}", "reference") for n in (1, 2)])
    plan.locked_at, plan.locked_by, plan.state = timezone.now(), by, Plan.State.LOCKED
    plan.frozen = frozen_text(plan, values_of(plan))
    plan.digest = digest_of(plan.frozen)
    plan.save()
    record(plan, "plan.locked", by=by, digests={"plan": plan.digest})
    audit = Audit.objects.create(plan=plan, created_by=by)
    audit.job = Job.objects.create(
        kind="audit.run", queue="gpu", organisation=home, created_by=by, state="done", attempt=1, subject_type="audit"
    )
    record(plan, "audit.started", by=None, subject=audit)
    return audit


def rules_of(plan: Plan) -> Rules:
    level = next(level for level in LEVELS if level == plan.level)
    return Rules(plan.digest, level, plan.alpha, plan.permutations, plan.decide_with_references)


def _judge(audit: Audit, strength: float) -> None:
    plan, rules = audit.plan, rules_of(audit.plan)
    releases = list(plan.releases.order_by("recipient", "pk"))
    results = [_result(plan, made, number, strength if number == 0 else 0.0) for number, made in enumerate(releases)]
    corrected = holm([result.decision.p for result in results])
    conclusions = []
    for made, result, p in zip(releases, results, corrected, strict=True):
        level = result.decision
        conclusion, reasons = conclude(level, CorrectedP(p, level.smallest_p), rules)
        conclusions.append(conclusion)
        AuditRow.objects.create(
            audit=audit,
            release=made,
            conclusion=conclusion,
            p=level.p,
            p_corrected=p,
            smallest_p=level.smallest_p,
            result=codec.write(replace(result, reasons=tuple(reasons), tests=len(releases))),
        )
    audit.conclusion = next(word for word in ("evidence", "inconclusive", "no_evidence") if word in conclusions)
    named = releases[conclusions.index(audit.conclusion)].recipient
    audit.sentence = sentence(audit.conclusion, plan.suspect.name, [named])
    models = [{"name": plan.suspect.name, "role": "suspect", "device": "cpu", "forward_passes": 2400, "seconds": 1.5}]
    audit.facts = {"forward_passes": 7200, "models": models, "code_version": code_version(), "tests": len(releases)}
    audit.state, audit.finished_at = Audit.State.DONE, timezone.now()
    audit.save()


def _result(plan: Plan, made: Release, number: int, strength: float) -> AssociatedResult:
    keys, levels = Secrets(assignment(), np.roll(assignment(), 1)), {}
    for seed, level in enumerate(LEVELS):
        references = {f"reference-{n}": level_scores(50 * number + 10 * n + seed, 0.0) for n in (1, 2)}
        scores = level_scores(500 * number + seed, strength)
        levels[level] = judge_level(level, scores, references, keys, rules_of(plan), str(made.pk))
    return associated_result(plan.level, levels, sha(f"probes {made.pk}"))


def associated_result(level: str, levels: dict, probes_digest: str, **more: Any) -> AssociatedResult:
    """Of a mark set with GROUPS."""
    return AssociatedResult(
        level=level,
        levels=levels,
        groups=tuple(GROUPS),
        assignment=tuple(assignment().tolist()),
        shuffle=Shuffle((3, 1, 0, 2, 5, 4)),
        probes_digest=probes_digest,
        **more,
    )
