"""Pilots: what they try, who may make one, and their start."""

import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.db import models, transaction

from audits.models import Pilot
from audits.pilots.described import check_network
from audits.pilots.methods import METHODS
from audits.pilots.pilot.pool import check_count, room_for
from audits.pilots.pilot.settings import FEWEST_IMAGES, PilotError, PilotSettings, Proposal
from audits.pilots.pilot.variations import TASKS
from audits.pilots.suited import check_alpha, check_suited
from audits.services.code_version import code_version
from provenance.marks import PRESETS, WithheldSettings, get_family
from provenance.models import Blocking, Clusters, Role, User, Version
from provenance.services import log
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.services.keyed_choices import plan_choice
from provenance.services.release_plans import default_classes, plan_of
from provenance.wording import percent

# Who decides about a release, and who trains models for audits; nothing secret of any release is opened.
ROLES = (Role.RIGHTS_HOLDER, Role.AUDITOR)
SEEDS = 2**48


def may_pilot(user: User) -> "models.QuerySet[Version]":
    """Ready versions of the organisations whose rights-holder or auditor the person is."""
    own = user.organisations(*ROLES)
    found = Version.objects.ready().filter(dataset__organisation__in=own, file_count__gte=FEWEST_IMAGES)
    return found.select_related("dataset").order_by("dataset__name", "-number")


def struck_proposals(
    version: Version,
    family: str,
    strengths: Sequence[str],
    share: float | None = None,
    association: str = "associated",
    clusters: Clusters | None = None,
) -> tuple[Proposal, ...]:
    """Ready-made strengths of one family: in the classes that a release would take, in clusters, or plain.

    Raises PilotError.
    """
    changes: dict[str, Any] = {"association": association} | ({} if share is None else {"share": share})
    groups, how = tuple(default_classes(version)), ""
    if association == "plain":
        groups, how = (), ", plain"
    elif clusters is not None:
        groups, how = clusters.names, ", clusters"
        changes |= {"group_by": "cluster", "clusters": clusters.digest}
    elif strengths and not groups:
        raise PilotError(
            "This version has no labels, so no marks of classes can be tried; try clusters, plain marks, or what stays "
            "home."
        )
    return tuple(
        Proposal(
            f"{PRESETS[name].title} {get_family(family).title.lower()}{how}",
            PRESETS[name].settings(groups, family=family, **changes),
        )
        for name in strengths
    )


def withheld_proposals(blocking: Blocking, shares: Sequence[float]) -> tuple[Proposal, ...]:
    """The same blocks, with different shares of the images at home. Raises TouchmarkError for what is no share."""
    if not all(map(math.isfinite, shares)):
        raise PilotError("Shares at home are numbers, in per cent, as in 2 or 5.")
    found = (WithheldSettings(blocking.digest, blocking.block_size, share) for share in shares)
    return tuple(Proposal(f"{percent(settings.share)} at home", settings) for settings in found)


def usual_variations(settings: PilotSettings, kinds: Sequence[str]) -> tuple[str, ...]:
    """What stands for each kind: one other method, a network twice as wide, smaller images, 10, 50 and 90 % other
    images, and two other tasks."""
    encoder = re.fullmatch(r"small_resnet:(\d+)(.*)", settings.encoder)
    wider = f"small_resnet:{2 * int(encoder[1])}{encoder[2]}" if encoder else "small_resnet:32"
    other = next(name for name in ("simclr", "byol") if name != settings.methods[0])
    smaller = max(8, 3 * settings.pixels // 4)
    made = {
        "method": (f"method:{other}",),
        "encoder": (f"encoder:{wider}",),
        "side": (f"side:{smaller}",),
        "mixed": ("mixed:0.1", "mixed:0.5", "mixed:0.9"),
        "task": tuple(f"task:{name}" for name in TASKS),
    }
    return tuple(one for kind in kinds for one in made[kind])


def check_variations(settings: PilotSettings) -> None:
    """Raises PilotError for a variation that varies nothing, or with which no model sees what is struck."""
    for one in settings.varied:
        if one.side == settings.pixels or one.encoder == settings.encoder:
            raise PilotError(
                f"“{one}” is what is planned: name another one to see whether it holds elsewhere, or leave it out."
            )
        for proposal in settings.proposals:
            if one.side and proposal.struck and proposal.struck.least_edge > one.side:
                raise PilotError(
                    f"“{proposal.title}” needs {proposal.struck.least_edge} pixels and “{one}” would show models "
                    "fewer; raise the side of the images, or do not vary it."
                )


def check_others(version: Version, settings: PilotSettings, by: User) -> None:
    """Raises PilotError where images of a version are to be mixed in that cannot serve."""
    if not settings.others:
        return
    if not any(one.mixed for one in settings.varied):
        raise PilotError("A dataset is named and nothing says that its images are mixed in: say so, or name none.")
    others = may_pilot(by).filter(pk=settings.others).first()
    if others is None or others.dataset_id == version.dataset_id:
        raise PilotError("Mix in images of another dataset that is open to you, in a version that is ready.")
    check_count(settings, room_for(version.file_count, settings.images), others.file_count)


def check(version: Version, settings: PilotSettings) -> None:
    """Raises PilotError, or what a release with these settings would raise, for what cannot be tried on a version."""
    if version.state != Version.State.READY:
        raise PilotError("This version is not ready yet; wait until its files have been read.")
    if version.file_count < FEWEST_IMAGES:
        raise PilotError(f"A pilot takes a version of {FEWEST_IMAGES} images or more.")
    varied = [one.method for one in settings.varied if one.method]
    methods = [METHODS[name] for name in (*settings.methods, *varied)]
    for line in settings.lines():
        if line.number == 0:  # further keys have the same networks
            check_network(settings.training(line))
    check_suited(methods, room_for(version.file_count, settings.images), version.facts)
    for proposal in settings.proposals:
        if proposal.struck:
            plan_of(version, proposal.struck)
            check_alpha(proposal.struck, settings.alpha)
        if proposal.withheld:
            plan_choice(version, proposal.withheld)


@transaction.atomic
def start(version: Version, settings: PilotSettings, *, by: User) -> Pilot:
    """Queues a pilot, with a seed that is drawn here. Raises PilotError."""
    organisation = version.dataset.organisation
    require(by, organisation, *ROLES)
    check(version, settings)
    check_variations(settings)
    check_others(version, settings, by)
    chosen = replace(settings, seed=secrets.randbelow(SEEDS))
    pilot = Pilot.objects.create(
        organisation=organisation,
        version=version,
        settings=chosen.to_json(),
        code_version=code_version(),
        created_by=by,
    )
    params = {"pilot": str(pilot.pk)}
    pilot.job = enqueue("pilot.run", pilot, organisation=organisation, by=by, params=params)
    pilot.save(update_fields=["job"])
    log.record(
        "pilot.started", pilot, organisation=organisation, by=by, digests={"root": version.root}, details=_told(chosen)
    )
    return pilot


def _told(settings: PilotSettings) -> dict[str, Any]:
    """What the log says about it."""
    told = settings.to_json()
    return told | {"proposals": [proposal.title for proposal in settings.proposals]}
