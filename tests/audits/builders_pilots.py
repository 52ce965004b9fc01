"""Pilots in the database: a tiny one to run, and a finished one whose numbers are made up."""

from dataclasses import replace

import numpy as np
from django.utils import timezone

from audits.judging.bases import BASES
from audits.models import Pilot
from audits.pilots.pilot.found import LevelFound, LineFound, Looks, PilotFound
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.services.code_version import code_version
from audits.services.pilots import starting
from audits.statistics.density import LEVELS
from provenance.marks import PRESETS, WithheldSettings
from provenance.models import Clusters, Version
from provenance.services import clusters
from tests.audits.builders_trainings import scenes_version
from tests.world import World

IMAGES = 120  # of ten classes; enough for marks of each, and for blocks that something stays home of
TINY = {
    "runs": 1,
    "references": 1,
    "epochs": 1,
    "batch_size": 16,
    "encoder": "small_resnet:8:1-1",
    "side": 16,
    "probes": 4,
    "group_images": 2,
    "views": 2,
    "permutations": 100,
    "decoys": 99,
    "device": "cpu",
}


def wanted(version: Version, **changes) -> PilotSettings:
    """A tiny pilot of one strong patch."""
    proposals = starting.struck_proposals(version, "patch", ["strong"])
    return PilotSettings(**{**TINY, "proposals": proposals, "seed": 0, **changes})


def in_clusters(world: World, version: Version) -> Clusters:
    """Four of equal size that have nothing to do with classes."""
    labels = (np.arange(version.file_count) % 4).astype(np.uint16)
    return clusters.keep(version, clusters.Found(labels, "Encoder", "a" * 64, 1, {}), by=world.rights_holder)


def finished(
    world: World,
    version: Version | None = None,
    runs: int = 3,
    variations: tuple[str, ...] = (),
    captions: bool = False,
) -> Pilot:
    """Images at home are found in every audit and cost nothing; the patch is found in none and costs accuracy.

    captions: by the own caption alone.
    """
    version = version or scenes_version(world, 40)
    groups = tuple(sorted(version.facts["labels"]))
    struck = Proposal("Strong patch", PRESETS["strong"].settings(groups))
    settings = PilotSettings((struck, Proposal("5 % at home", WithheldSettings("0" * 64))), seed=1, runs=runs)
    settings = replace(settings, variations=variations, methods=("clip",) if captions else settings.methods)
    lines = [_line(settings, number) for number in range(len(settings.lines()))]
    if captions:
        lines = [_by_captions(line) for line in lines]
    found = PilotFound(tuple(lines), (), 32, version.file_count, 8, "CPU")
    return Pilot.objects.create(
        organisation=world.owner,
        version=version,
        settings=settings.to_json(),
        code_version=code_version(),
        state=Pilot.State.DONE,
        curves={one.line.name: list(one.curve) for one in found.lines},
        found=found.to_json(),
        created_by=world.rights_holder,
        finished_at=timezone.now(),
    )


def _line(settings: PilotSettings, number: int) -> LineFound:
    line = settings.lines()[number]
    curve = tuple({"epoch": epoch, "loss": 3.0 / epoch, "accuracy": 0.5 + 0.1 * epoch} for epoch in (1, 2, 3))
    plain = LineFound(line, 60.0, 32, curve, nearest=0.7 + 0.01 * line.number, linear=0.8 + 0.01 * line.number)
    if line.proposal is None:
        return plain
    p = 0.4 if line.proposal == 0 else 1e-6
    audited = replace(
        plain,
        levels={level: LevelFound(p, min(1, 2 * p), 1.0, 1e-9, wrong_key=0.5) for level in LEVELS},
        queries=500,
        marked=20,
        wanted=20,
    )
    if line.proposal == 0:
        return replace(audited, linear=0.6 + 0.01 * line.number, looks=Looks(20, 1, 19.0, 15.0, 0.9))
    return replace(audited, images=30, aucs={"features": {30: 0.52, 60: 0.6}})


def _by_captions(line: LineFound) -> LineFound:
    if line.line.proposal != 1:
        return line
    levels = {basis: LevelFound(0.3, 0.3, 0.5, 1e-9, 0.51, 0.5) for basis in BASES}
    levels |= {"features / caption": LevelFound(1e-7, 1e-6, 5.2, 1e-9, 0.83, 0.5)}
    return replace(line, levels=levels, aucs={"features": {60: 0.51}, "features / caption": {30: 0.7, 60: 0.83}})
