"""Scores of the suspect and of its references, and at which levels a test cannot be made of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from audits.models import Plan, RegisteredModel
from audits.statistics.density import LEVELS, Level
from provenance.services.jobs.running import JobRun

S = TypeVar("S")
Reasons = dict[Level, str]

NO_ANSWERS = "it gave no answers of this kind."


def cannot_serve(model: RegisteredModel, why: str) -> str:
    return f"The reference {model.name} cannot serve: {why}"


def scores_of_models(
    plan: Plan,
    models: Sequence[RegisteredModel],
    score: Callable[[RegisteredModel], tuple[Mapping[Level, S], Reasons]],
    run: JobRun,
) -> tuple[dict[str, Mapping[Level, S]], Reasons]:
    """Scores by model and level, and the levels that cannot be tested, with the reason.

    models: the suspect first. score: of one model, and why others of its levels have none.
    """
    scored: dict[str, Mapping[Level, S]] = {}
    reasons: Reasons = {}
    for model in models:
        run.checkpoint()
        scored[model.name], why_not = score(model)
        if model.pk == plan.suspect_id:
            reasons |= why_not
        else:
            # At a level that decides, the plan's references are used all together or not at all.
            for level in (level for level in LEVELS if level in plan.primary_levels):
                if level not in scored[model.name] and level not in reasons:
                    reasons[level] = cannot_serve(model, why_not.get(level, NO_ANSWERS))
    return scored, reasons
