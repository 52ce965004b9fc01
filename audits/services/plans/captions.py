"""Whether an audit of a keyed choice asks about captions: the version has some, and every model reads them."""

from audits.judging.choices import OMNIBUS
from audits.models import RegisteredModel
from audits.services.plans.values import PlanError, PlanValues

CAPTION = "caption"


def reads_captions(model: RegisteredModel) -> bool:
    """As its connection test said; a model with prompts has read texts there, whenever that was."""
    spec = model.model_spec
    if spec.family != "open_clip" or "features" not in spec.returns:
        return False
    return spec.has_scores or bool(model.connection and model.connection.get("reads_captions"))


def asks_about_captions(values: PlanValues) -> bool:
    """Of all models or of none, so that every reference can be taken out of every score."""
    if not values.has_choice or not values.version.facts.get("captioned"):
        return False
    return all(reads_captions(model) for model in (values.suspect, *values.references))


def captions_left_out(values: PlanValues) -> str:
    """Why nobody is asked about captions though the version has some and they would have counted, or stood beside what
    counts; empty where that is not so."""
    if not values.has_choice or not values.version.facts.get("captioned") or asks_about_captions(values):
        return ""
    if values.membership_score != OMNIBUS and not reads_captions(values.suspect):
        return ""  # nobody expects it of such a suspect
    silent = [model.name for model in (values.suspect, *values.references) if not reads_captions(model)]
    reads = "reads" if len(silent) == 1 else "read"
    return (
        "How close answers come to the image’s own caption is left out of the scores: as far as connection tests have "
        f"shown, {' and '.join(silent)} {reads} no captions, and all models are asked the same."
    )


def check_captions(values: PlanValues) -> None:
    """Raises PlanError where captions are to decide and cannot."""
    if values.membership_score != CAPTION or not values.has_choice:
        return
    if not values.version.facts.get("captioned"):
        raise PlanError(
            "This version has no captions, so no model can be asked about them. Choose another score, or a version of "
            "the dataset with a CSV that has a caption column."
        )
    if "features" not in values.primary_levels:
        raise PlanError("How close answers come to captions is a matter of features. Let them decide, too.")
    for model in (values.suspect, *values.references):
        if not reads_captions(model):
            raise PlanError(why_not(model))


def why_not(model: RegisteredModel) -> str:
    """Of a model that does not read captions, as far as is known."""
    spec, other = model.model_spec, "choose another score."
    if spec.family == "open_clip" and "features" in spec.returns and "reads_captions" not in (model.connection or {}):
        return (
            f"It is not known whether {model.name} has a text tower that reads captions. Run its connection test, "
            f"or {other}"
        )
    is_suspect = model.role == RegisteredModel.ModelRole.SUSPECT
    return (
        f"{model.name} has no text tower that reads captions beside its features. "
        f"{'C' if is_suspect else 'Leave this reference out, or c'}{other[1:]}"
    )
