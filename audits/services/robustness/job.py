"""The job that makes a table of robustness: reads images, trains, attacks, asks. It opens no key of any release."""

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.db import transaction
from django.utils import timezone

from audits.models import Robustness
from audits.pilots.recipe import PROMPT
from audits.robustness.copies import RobustnessError
from audits.robustness.settings import RobustnessSettings
from audits.robustness.table import RobustnessTable
from audits.scenes.procedural import CLASSES, scenes
from audits.services.code_version import code_version, computes_alike
from audits.services.robustness.starting import mark_ended
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Version
from provenance.services import log
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:  # torch is imported inside the job only
    from audits.pilots.training_set import TrainingSet

PARTS = 1000  # of a line, in the progress


@job_kind("robustness.measure", title="Measuring robustness", queue="gpu", ended=mark_ended)
def measure(run: JobRun) -> None:
    """Works off the rows that are not kept yet. A run that was killed goes on with the next, and a training after its
    last whole epoch."""
    from audits.pilots.training import device_here
    from audits.robustness.running import measured
    from audits.robustness.stock import divided

    made = Robustness.objects.select_related("organisation", "version").get(pk=run.params["robustness"])
    if made.state == Robustness.State.DONE:  # an earlier attempt was killed after its last step
        return
    if not computes_alike(made.code_version, code_version()):
        raise RobustnessError("The code was changed since this table was started; start a new one.")
    Robustness.objects.filter(pk=made.pk).update(state=Robustness.State.RUNNING)
    settings = RobustnessSettings.from_json(made.settings)
    images = _images(made.version, settings, run)

    def told(done: float, what: str) -> None:
        run.progress(round(PARTS * done), PARTS * settings.rows, what)

    stock = divided(images.data, images.names, settings.seed, images.captions)
    _finish(made, measured(settings, stock, made.folder, told, device_here()))
    shutil.rmtree(made.folder, ignore_errors=True)


@transaction.atomic
def _finish(made: Robustness, table: RobustnessTable) -> None:
    made.table, made.state, made.finished_at = table.to_json(), Robustness.State.DONE, timezone.now()
    made.save()
    details = {"lines": len(table.lines), "code": made.code_version}
    log.record("robustness.finished", made, organisation=made.organisation, by=None, details=details)


@dataclass(frozen=True)
class _Images:
    """data: drawn by the table's seed, in the manifest's order; names: of their classes; captions: their own."""

    data: "TrainingSet"
    names: tuple[str, ...]
    captions: list[str | None] | None


def _images(version: Version | None, settings: RobustnessSettings, run: JobRun) -> _Images:
    from audits.pilots.training_set import TrainingSet, read_images

    side = settings.recipe.side
    if version is None:
        found = list(scenes(settings.seed, settings.images, side))
        labels = np.array([CLASSES.index(scene.label) for scene in found])
        captions = tuple(scene.caption for scene in found)
        return _Images(TrainingSet(np.stack([scene.pixels for scene in found]), captions, labels), CLASSES, [*captions])
    entries = _entries(version, settings)

    def told(done: int, total: int) -> None:
        run.progress(done, total, "reading images")

    images = read_images(version.files_folder, [entry.path for entry in entries], side, told)
    texts = _captions(entries) if settings.recipe.learns_from == "captions" else None
    own = [entry.caption for entry in entries]
    names = sorted({entry.label for entry in entries if entry.label})
    if len(names) < 2 or not all(entry.label for entry in entries):
        return _Images(TrainingSet(images, texts), (), own)
    numbers = np.array([names.index(entry.label or "") for entry in entries], dtype=np.int64)
    return _Images(TrainingSet(images, texts, numbers), tuple(names), own)


def _entries(version: Version, settings: RobustnessSettings) -> list[Entry]:
    with Manifest(version.manifest_folder) as manifest:
        if manifest.root != version.root:
            raise RobustnessError("The manifest on disk is not the one that this version was registered with.")
        drawn = np.random.default_rng([settings.seed, 0]).permutation(len(manifest))[: settings.images]
        return [manifest.entry(index) for index in sorted(drawn.tolist())]


def _captions(entries: list[Entry]) -> tuple[str, ...]:
    texts = [entry.caption or (PROMPT.format(entry.label) if entry.label else "") for entry in entries]
    if not all(texts):
        raise RobustnessError("Some images have neither a caption nor a class; choose a method that learns without.")
    return tuple(texts)
