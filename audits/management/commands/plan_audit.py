"""Drafts a plan and, with --lock, locks it."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandParser

from audits.models import Plan, RegisteredModel
from audits.services.plans.drafting import auditable_versions, save_draft, usable_models
from audits.services.plans.forecasts import forecast
from audits.services.plans.locking import lock
from audits.services.plans.reference_suggestions import suggest_references
from audits.services.plans.values import PlanError, PlanValues, name_for, values_of
from provenance.management.base import TouchmarkCommand
from provenance.models import Release, User, Version


class Command(TouchmarkCommand):
    help = "Draft the plan of an audit: suspect, releases, level and numbers. --lock fixes it and logs its digest."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, help="name of the dataset, or id of one of its versions")
        parser.add_argument("--number", type=int, help="number of the version (default: the newest)")
        parser.add_argument(
            "--release", action="append", default=[], help="recipient or id; repeat it (default: every ready release)"
        )
        parser.add_argument("--suspect", required=True, help="name or id of a registered suspect")
        parser.add_argument("--reference", action="append", default=[], help="name or id of a reference; repeat it")
        parser.add_argument("--count-with-references", action="store_true", help="the p with references decides")
        parser.add_argument(
            "--suggest-references",
            action="store_true",
            help="draft nothing: list the registered references, which may serve in this plan, and why",
        )
        parser.add_argument("--level", choices=Plan.Level.values, default="features", help="level that decides")
        parser.add_argument(
            "--also-primary",
            action="append",
            default=[],
            choices=Plan.Level.values,
            help="a further level that decides; repeat it (others are measured, but never decide)",
        )
        parser.add_argument(
            "--series-open",
            action="store_true",
            help="this suspect may be run again as often as it takes: every p is multiplied by n (n + 1) in run n",
        )
        parser.add_argument(
            "--held-out",
            metavar="VERSION",
            help="name of a dataset, or id of a version, whose images were never released; for the other verifiers",
        )
        _numbers(parser)
        parser.add_argument("--no-wrong-key", action="store_true", help="leave out the control with a wrong key")
        parser.add_argument("--name", default="", help="name of the plan")
        parser.add_argument("--lock", action="store_true", help="lock the plan at once")

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = _version(user, options["dataset"], options["number"])
        suspect = _model(user, options["suspect"])
        releases = _releases(version, options["release"])
        if options["suggest_references"]:
            levels = [level for level in Plan.Level.values if level in (options["level"], *options["also_primary"])]
            found = suggest_references(suspect, releases, levels, user)
            if options["json"]:
                return {"references": [one.to_dict() for one in found]}
            lines = [f"\n  {one.model.name}: {one.verdict.words}. {' '.join(one.reasons)}" for one in found]
            return {"references": "".join(lines) or "none is registered"}
        values = PlanValues(
            name=options["name"] or name_for(suspect, version, releases),
            version=version,
            releases=releases,
            suspect=suspect,
            references=[_model(user, name) for name in options["reference"]],
            level=options["level"],
            further_primary=options["also_primary"],
            probes=options["probes"],
            group_images=options["group_images"],
            permutations=options["permutations"],
            decoys=options["decoys"],
            exceedances=options["exceedances"],
            alpha=options["alpha"],
            series_is_open=options["series_open"],
            held_out=_version(user, options["held_out"], None) if options["held_out"] else None,
            decide_with_references=options["count_with_references"],
            wrong_key_control=not options["no_wrong_key"],
        )
        plan = save_draft(values, by=user)
        if options["lock"]:
            plan = lock(plan, by=user)
        ahead = forecast(values_of(plan), plan)
        return {
            "plan": str(plan.pk),
            "state": plan.state,
            "digest": plan.digest or None,
            "releases": [release.recipient for release in values.releases],
            "primary_levels": list(values.primary_levels),
            "secondary_levels": list(values.secondary_levels),
            "forward_passes": ahead.passes,
            "answered_before": ahead.answered_before,
            "estimated_seconds": ahead.seconds,
            "smallest_p": ahead.smallest_p,
            "corrected_together": ahead.tests,
            "smallest_corrected_p": ahead.smallest_corrected_p,
            "reaches_alpha": ahead.reaches_alpha,
            "warnings": [*filter(None, [ahead.refusal]), *ahead.warnings],
        }


def _numbers(parser: ArgumentParser) -> None:
    parser.add_argument("--probes", type=int, default=300)
    parser.add_argument("--group-images", type=int, default=50, help="clean images per group (default 50)")
    parser.add_argument("--permutations", type=int, default=1_000_000)
    parser.add_argument("--decoys", type=int, default=199, help="plain marks: decoy keys at most (default 199)")
    parser.add_argument(
        "--exceedances",
        type=int,
        default=20,
        help="plain marks: stop once so many decoys are as extreme as the true key; 0 for never (default 20)",
    )
    parser.add_argument("--alpha", type=float, default=0.01)


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
