"""The job that makes a pilot."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from audits.models import Pilot
from audits.pilots.pilot.found import PilotFound
from audits.pilots.pilot.settings import PilotError, PilotSettings
from audits.services.code_version import code_version, computes_alike
from audits.services.pilots import twins
from audits.services.pilots.shown import line_title
from provenance.intake.manifest import Manifest
from provenance.marks import ImageBlocks
from provenance.models import Job, Version
from provenance.services import log
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.services.keyed_choices import blocks_of
from provenance.whole_files import write_whole
from provenance.wording import count

if TYPE_CHECKING:  # torch is imported inside the job only
    from audits.pilots.pilot.pool import Pool
    from audits.pilots.pilot.working import Progress


def mark_ended(job: Job) -> None:
    """What was trained stays, so that a person can let it go on."""
    state = Pilot.State.CANCELLED if job.state == Job.State.CANCELLED else Pilot.State.FAILED
    Pilot.objects.filter(pk=job.params["pilot"]).exclude(state=Pilot.State.DONE).update(state=state)


@job_kind("pilot.run", title="Making a pilot", queue="gpu", ended=mark_ended)
def run_pilot(run: JobRun) -> None:
    """Reads the images, makes all trainings that time allows, and keeps what they showed."""
    from audits.pilots.pilot.working import Work

    pilot = Pilot.objects.select_related("organisation", "version").get(pk=run.params["pilot"])
    if pilot.state == Pilot.State.DONE:  # an earlier attempt was killed after its last step
        return
    if not computes_alike(pilot.code_version, code_version()):
        raise PilotError("The code was changed since this pilot was started; start a new one.")
    Pilot.objects.filter(pk=pilot.pk).update(state=Pilot.State.RUNNING)
    settings = PilotSettings.from_json(pilot.settings)
    whole = blocks_of(pilot.version, settings.withheld[0]) if settings.withheld else None
    work = Work(settings, _pool(pilot, settings, whole, run), whole, pilot.folder, _Teller(pilot, settings, run))
    found = work.run()
    for one in found.lines:
        if one.line.is_twin and work.twin_weights(one.line).exists():
            kept = twins.weights_of(pilot, one.line)
            write_whole(kept, partial(shutil.copyfile, work.twin_weights(one.line)))
    _finish(pilot, found)
    shutil.rmtree(pilot.folder, ignore_errors=True)


@job_kind("pilot.register_twins", title="Registering unmarked twins as references", queue="cpu")
def register_twins(run: JobRun) -> None:
    """One after the other, through the same door as everybody's models."""
    pilot = Pilot.objects.select_related("organisation", "version").get(pk=run.params["pilot"])
    wanted, by = run.params["twins"], run.job.created_by
    if by is None:
        raise PilotError("Nobody is named who declared these twins. Register them again.")
    for done, name in enumerate(wanted):
        run.progress(done, len(wanted), f"registering {name}")
        twins.register(pilot, name, by=by, on_block=lambda at, total: run.checkpoint())
    run.progress(len(wanted), len(wanted), "registered")


def _pool(pilot: Pilot, settings: PilotSettings, whole: ImageBlocks | None, run: JobRun) -> "Pool":
    from audits.pilots.pilot.reading import read_others, read_pool

    def told(done: int, total: int) -> None:
        run.progress(done, total, "reading images")

    with _manifest(pilot.version) as manifest:
        pool = read_pool(manifest, pilot.version.files_folder, settings, whole, told)
    if not (most := max((one.others(len(pool)) for one in settings.varied), default=0)):
        return pool
    mixed = Version.objects.ready().filter(pk=settings.others).first()
    if mixed is None:
        return pool  # what works it off refuses it with its sentence
    with _manifest(mixed) as manifest:
        return replace(pool, others=read_others(manifest, mixed.files_folder, settings, most, told))


def _manifest(version: Version) -> Manifest:
    manifest = Manifest(version.manifest_folder)
    if manifest.root != version.root:
        manifest.close()
        raise PilotError(f"The manifest of {version} on disk is not the one that it was registered with.")
    return manifest


class _Teller:
    """Tells people how far a pilot is, and keeps the curve of the training that runs."""

    def __init__(self, pilot: Pilot, settings: PilotSettings, run: JobRun) -> None:
        self._pilot, self._settings, self._run = pilot, settings, run

    def __call__(self, progress: "Progress") -> None:
        name, epochs = progress.line.name, self._settings.epochs
        at = f", epoch {count(progress.epoch)} of {count(epochs)}" if progress.epoch else ""
        self._run.progress(progress.done, progress.total, f"{line_title(self._settings, progress.line)}{at}")
        kept: Mapping[str, list[Any]] = self._pilot.curves
        if len(progress.curve) > len(kept.get(name, ())):
            self._pilot.curves = {**kept, name: list(progress.curve)}
            self._pilot.save(update_fields=["curves"])


def _finish(pilot: Pilot, found: PilotFound) -> None:
    with transaction.atomic():
        pilot.found, pilot.state, pilot.finished_at = found.to_json(), Pilot.State.DONE, timezone.now()
        pilot.curves = {one.line.name: list(one.curve) for one in found.lines}
        pilot.save()
        details = {"trainings": len(found.lines), "not_made": len(found.missing), "code": pilot.code_version}
        log.record("pilot.finished", pilot, organisation=pilot.organisation, by=None, details=details)
