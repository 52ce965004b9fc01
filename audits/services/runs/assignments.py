"""The part of an audit's run that asks about associated marks: which pattern pulls to which group."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audits.asking.measuring import Marks, Question
from audits.asking.probe_images import load_images_once
from audits.judging.assignments import Rules, Secrets, begin_draws, judge_level
from audits.judging.levels import AssociatedLevel, Unscored
from audits.judging.result import AssociatedResult, Restricted
from audits.judging.scoring import LevelScores, score_levels
from audits.models import Plan, RegisteredModel
from audits.services.runs.asked import Asked
from audits.services.runs.chosen_images import ChosenImages, Files
from audits.services.runs.scored import Reasons, scores_of_models
from audits.statistics.density import Level
from audits.statistics.draws import Draws
from provenance.marks import MarkSecret
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:
    from audits.suspects import SandboxedModel


def passes_of(plan: Plan, chosen: ChosenImages, models: int) -> int:
    """Forward passes of all models; the suspect alone is asked about the wrong key."""
    groups = len(chosen.secret.patterns)
    control = groups * plan.probes if chosen.wrong else 0
    return models * ((groups + 1) * plan.probes + len(chosen.group_images)) + control


def ask(
    asked: Asked,
    model: RegisteredModel,
    session: "SandboxedModel",
    chosen_sets: Sequence[ChosenImages],
    rules: Rules,
    draws: Draws,
) -> None:
    """One model about every set; what the suspect's answers are compared with is drawn meanwhile."""
    plan = asked.audit.plan
    for chosen in chosen_sets:
        if model.pk == plan.suspect_id:
            begin_draws(draws, session.info.levels, _secrets(chosen), rules, chosen.name, plan.references.exists())
        asked.ask(chosen, model, _question(asked, chosen, model, session.info.input_shape[1]), session)


def _question(asked: Asked, chosen: ChosenImages, model: RegisteredModel, size: int) -> Question:
    """Images are decoded once per set and size; the suspect alone is asked about the wrong key."""
    audit, run = asked.audit, asked.run
    kept = audit.folder / "images" / chosen.name

    def images(what: str, files: Files) -> np.ndarray:
        return load_images_once(kept / f"{what}-{size}.npy", files, size, lambda done: run.checkpoint())

    return Question(
        subject=f"{model.asked_as} {chosen.release.pk}",
        probes=images("probes", chosen.probes),
        group_images=images("groups", chosen.group_images),
        group_of=chosen.group_of,
        marks=_marks(chosen.secret, chosen.places),
        wrong_marks=_marks(chosen.wrong, chosen.places) if chosen.wrong and model.pk == audit.plan.suspect_id else None,
    )


def _marks(secret: MarkSecret, places: list[str]) -> Marks:
    return Marks(secret.settings.to_json(), secret.patterns, secret.placements(places))


def judge(
    asked: Asked, models: Sequence[RegisteredModel], chosen: ChosenImages, rules: Rules, draws: Draws, run: JobRun
) -> AssociatedResult:
    """The result of one set at every level."""
    plan, settings = asked.audit.plan, chosen.secret.settings
    groups = len(chosen.secret.patterns)

    def score(model: RegisteredModel) -> tuple[Mapping[Level, LevelScores], Reasons]:
        return score_levels(asked.of(chosen, model), groups, chosen.group_of)

    scored, reasons = scores_of_models(asked.audit.plan, models, score, run)
    secret = _secrets(chosen)
    levels: dict[Level, AssociatedLevel | Unscored] = {level: Unscored(reason) for level, reason in reasons.items()}
    for level, scores in scored[plan.suspect.name].items():
        run.checkpoint()
        others = {name: of[level] for name, of in scored.items() if name != plan.suspect.name and level in of}
        if level not in levels:
            levels[level] = judge_level(level, scores, others, secret, rules, chosen.name, draws)
    return AssociatedResult(
        level=rules.level,
        levels=levels,
        groups=tuple(settings.groups),
        assignment=tuple(chosen.secret.assignment.tolist()),
        probes_digest=chosen.digest,
        nonce=asked.audit.nonce,
        restriction=_restricted(chosen),
    )


def _secrets(chosen: ChosenImages) -> Secrets:
    wrong = chosen.wrong.assignment if chosen.wrong else None
    return Secrets(chosen.secret.assignment, wrong, chosen.secret.settings.restriction)


def _restricted(chosen: ChosenImages) -> Restricted | None:
    settings = chosen.secret.settings
    if settings.restriction is None:
        return None
    return Restricted(tuple(settings.size_classes), len(settings.forbidden), settings.restriction.possible())
