"""The part of an audit's run that asks about associated marks: which pattern pulls to which group."""

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audits.density import LEVELS
from audits.judging import Rules, Secrets, judge_level
from audits.measuring import Marks, Question
from audits.models import Plan, RegisteredModel
from audits.probe_images import load_images_once
from audits.scoring import LevelScores, score_levels
from audits.services.asking import Asked
from audits.services.drawing import Drawn
from provenance.marks import MarkSecret
from provenance.services.jobs import JobRun

if TYPE_CHECKING:
    from audits.suspects import SandboxedModel


def passes_of(plan: Plan, d: Drawn, models: int) -> int:
    """Forward passes of all models; the suspect alone is asked about the wrong key."""
    groups = len(d.secret.patterns)
    control = groups * plan.probes if d.wrong else 0
    return models * ((groups + 1) * plan.probes + len(d.group_images)) + control


def ask(asked: Asked, model: RegisteredModel, session: "SandboxedModel", drawn: Sequence[Drawn]) -> None:
    """One model about every set."""
    for d in drawn:
        asked.ask(d, model, _question(asked, d, model, session.info.input_shape[1]), session)


def _question(asked: Asked, d: Drawn, model: RegisteredModel, size: int) -> Question:
    """Images are decoded once per set and size; the suspect alone is asked about the wrong key."""
    audit, run = asked.audit, asked.run
    kept = audit.folder / "images" / d.name
    return Question(
        subject=f"{model.asked_as} {d.release.pk}",
        probes=load_images_once(kept / f"probes-{size}.npy", d.probes, size, lambda done: run.checkpoint()),
        group_images=load_images_once(kept / f"groups-{size}.npy", d.group_images, size, lambda done: run.checkpoint()),
        group_of=d.group_of,
        marks=_marks(d.secret, d.places),
        wrong_marks=_marks(d.wrong, d.places) if d.wrong and model.pk == audit.plan.suspect_id else None,
    )


def _marks(secret: MarkSecret, places: list[str]) -> Marks:
    return Marks(secret.settings.to_json(), secret.patterns, secret.placements(places))


def judge(asked: Asked, models: Sequence[RegisteredModel], d: Drawn, rules: Rules, run: JobRun) -> dict[str, Any]:
    """The result of one set at every level."""
    plan, groups, settings = asked.audit.plan, len(d.secret.patterns), d.secret.settings
    scored, reasons = _scores(asked, models, d, run)
    secret = Secrets(d.secret.assignment, d.wrong.assignment if d.wrong else None, settings.restriction)
    levels: dict[str, Any] = {level: {"reason": reason} for level, reason in reasons.items()}
    for level, scores in scored[plan.suspect.name].items():
        run.checkpoint()
        others = {name: of[level] for name, of in scored.items() if name != plan.suspect.name and level in of}
        if level not in levels:
            levels[level] = judge_level(level, scores, others, secret, rules, d.name)
    return {
        "level": plan.level,
        "levels": levels,
        "groups": list(settings.groups),
        "assignment": d.secret.assignment.tolist(),
        "shuffle": {"patterns": _shuffle(groups)},
        "probes_digest": d.digest,
        "nonce": asked.audit.nonce,
        **_restriction_facts(d),
    }


def _scores(
    asked: Asked, models: Sequence[RegisteredModel], d: Drawn, run: JobRun
) -> tuple[dict[str, Mapping[Any, LevelScores]], dict[Any, str]]:
    """Scores by model and level, and the levels that cannot be tested, with the reason."""
    plan, groups = asked.audit.plan, len(d.secret.patterns)
    scored: dict[str, Mapping[Any, LevelScores]] = {}
    reasons: dict[Any, str] = {}
    for model in models:
        run.checkpoint()
        scored[model.name], why_not = score_levels(asked.of(d, model), groups, d.group_of)
        if model.pk == plan.suspect_id:
            reasons |= why_not
        else:
            # At a level that decides, the plan's references are used all together or not at all.
            for level in (level for level in LEVELS if level in plan.primary_levels):
                if level not in scored[model.name] and level not in reasons:
                    reasons[level] = cannot_serve(model, why_not.get(level, NO_ANSWERS))
    return scored, reasons


NO_ANSWERS = "it gave no answers of this kind."


def cannot_serve(model: RegisteredModel, why: str) -> str:
    return f"The reference {model.name} cannot serve: {why}"


def _restriction_facts(d: Drawn) -> dict[str, Any]:
    settings = d.secret.settings
    if settings.restriction is None:
        return {}
    facts = {
        "size_classes": list(settings.size_classes),
        "forbidden": len(settings.forbidden),
        "possible": settings.restriction.possible(),
    }
    return {"restriction": facts}


def _shuffle(count: int) -> list[int]:
    """From the operating system, and kept: an order that follows from public values would hide nothing."""
    order = list(range(count))
    secrets.SystemRandom().shuffle(order)
    return order
