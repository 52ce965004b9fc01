"""Drafts a plan and, with --lock, locks it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandParser

from audits.models import Plan, RegisteredModel
from audits.planning.choices import CHOICES, in_order
from audits.planning.declaration import Choice, Part
from audits.services.models.identity import names_seen_by
from audits.services.plans.drafting import auditable_versions, save_draft, usable_models
from audits.services.plans.forecasts import Forecast, forecast
from audits.services.plans.locking import lock
from audits.services.plans.reference_suggestions import suggest_references
from audits.services.plans.values import FIELDS, PlanError, PlanValues, name_for, values_of
from provenance.management.base import TouchmarkCommand
from provenance.models import Release, User, Version


class Command(TouchmarkCommand):
    help = "Draft the plan of an audit: suspect, releases, level and numbers. --lock fixes it and logs its digest."

    def add_options(self, parser: CommandParser) -> None:
        _row(parser, "version", required=True)
        parser.add_argument("--number", type=int, help="number of the version (default: the newest)")
        _row(parser, "releases", action="append", default=[])
        _row(parser, "suspect", required=True)
        _row(parser, "references", action="append", default=[])
        _choice(parser, FIELDS["decide_with_references"])  # stands with the references, which it is about
        parser.add_argument(
            "--suggest-references",
            action="store_true",
            help="draft nothing: list the registered references, which may serve in this plan, and why",
        )
        for choice in CHOICES:
            if choice.name == "probes":  # the first of the numbers, which follow what is declared in words
                _row(parser, "held_out", metavar="VERSION")
            if choice.name != "decide_with_references":
                _choice(parser, choice)
        _row(parser, "name", default="")
        parser.add_argument("--lock", action="store_true", help="lock the plan at once")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = _version(user, options["dataset"], options["number"])
        suspect = _model(user, options["suspect"])
        releases = _releases(version, options["release"])
        if options["suggest_references"]:
            return _suggested(user, suspect, releases, options)
        values = PlanValues(
            name=options["name"] or name_for(suspect, version, releases),
            version=version,
            releases=releases,
            suspect=suspect,
            references=[_model(user, name) for name in options["reference"]],
            held_out=_version(user, options["held_out"], None) if options["held_out"] else None,
            **{choice.name: options[choice.name] for choice in CHOICES},
        )
        plan = save_draft(values, by=user)
        if options["lock"]:
            plan = lock(plan, by=user)
        return _drafted(plan, user)


def _row(parser: ArgumentParser, name: str, **how: Any) -> None:
    """The option that names a row; what is looked up by it stands in `act`."""
    option = FIELDS[name].option
    if option is None:
        raise TypeError(f"“{name}” declares no option.")
    parser.add_argument(option.flag, help=option.help, **how)


def _choice(parser: ArgumentParser, choice: Choice) -> None:
    """The option of a choice, under the choice's own name."""
    if choice.option is None:
        raise TypeError(f"“{choice.name}” declares no option.")
    how: dict[str, Any] = {"type": type(choice.default), "default": choice.default}
    if isinstance(choice.default, bool):
        how = {"action": "store_false" if choice.default else "store_true"}
    elif choice.words:
        how |= {"choices": list(choice.words)}
    elif choice.part is Part.LEVELS:
        several = {"action": "append", "default": list(choice.default)}
        how = {"choices": Plan.Level.values, **(several if choice.is_several else {"default": choice.default})}
    parser.add_argument(choice.option.flag, dest=choice.name, help=choice.option.help, **how)


def _suggested(
    user: User, suspect: RegisteredModel, releases: list[Release], options: dict[str, Any]
) -> dict[str, Any]:
    levels = in_order({options["level"], *options["further_primary"]})
    found = suggest_references(suspect, releases, levels, user, options["membership_score"])
    if options["json"]:
        return {"references": [one.to_dict() for one in found]}
    lines = [f"\n  {one.model.name}: {one.verdict.words}. {' '.join(one.reasons)}" for one in found]
    return {"references": "".join(lines) or "none is registered"}


def _drafted(plan: Plan, user: User) -> dict[str, Any]:
    """What a person is told of the plan: its state, who the suspect is, and what it will cost and could reach."""
    values = values_of(plan)
    ahead = forecast(values, plan)
    return {
        "plan": str(plan.pk),
        "state": plan.state,
        "digest": plan.digest or None,
        "releases": [release.recipient for release in values.releases],
        **names_seen_by(values.suspect, user).to_json(),
        "primary_levels": list(values.primary_levels),
        "secondary_levels": list(values.secondary_levels),
        "forward_passes": ahead.passes,
        "answered_before": ahead.answered_before,
        "estimated_seconds": ahead.seconds,
        "smallest_p": ahead.smallest_p,
        "not_compared": ahead.not_compared.to_json(),
        "corrected_together": ahead.tests,
        "smallest_corrected_p": ahead.smallest_corrected_p,
        "reaches_alpha": ahead.reaches_alpha,
        **({"can_give_evidence": False} if ahead.exploratory else {}),
        **_blocks(ahead),
        "warnings": [*filter(None, [ahead.refusal]), *ahead.warnings],
    }


def _blocks(ahead: Forecast) -> dict[str, Any]:
    """Of keyed choices: how many blocks are asked about, were kept, and were asked about before."""
    return {"blocks": {release.recipient: one.words for release, one in ahead.exposures}} if ahead.exposures else {}


def _version(user: User, wanted: str, number: int | None) -> Version:
    open_to_them = auditable_versions(user)
    found = [v for v in open_to_them if wanted in (str(v.pk), v.dataset.name) and number in (None, v.number)]
    if not found:
        raise PlanError(f"No ready version of “{wanted}” is open to {user.display_name} for audits.")
    if len({v.dataset_id for v in found}) > 1:
        raise PlanError(f"Several datasets are called “{wanted}”; name the version by its id.")
    return max(found, key=lambda v: v.number)


def _releases(version: Version, wanted: list[str]) -> list[Release]:
    ready = list(Release.objects.ready().filter(version=version).select_related("key").order_by("recipient"))
    if not wanted:
        return ready
    found = []
    for name in wanted:
        match = [release for release in ready if name in (str(release.pk), release.recipient)]
        if len(match) != 1:
            raise PlanError(f"{len(match) or 'No'} ready releases of {version} are for “{name}”; name one by its id.")
        found += match
    return found


def _model(user: User, wanted: str) -> RegisteredModel:
    match = [model for model in usable_models(user) if wanted in (str(model.pk), model.name)]
    if len(match) != 1:
        raise PlanError(f"{len(match) or 'No'} registered models are called “{wanted}”.")
    return match[0]
