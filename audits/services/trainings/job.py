"""The job that trains a model of our own and registers it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings as site
from django.db import models

from audits.models import RegisteredModel, Training
from audits.pilots import described
from audits.pilots.checked import TrainingError
from audits.pilots.recipe import PROMPT, TrainingSettings, steps_of
from audits.services.models.opening import local_weights
from audits.services.models.registering import Registration, register_local
from audits.suspects.spec import ModelSpec
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Job
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:  # torch is imported inside the job only
    from audits.pilots.training import EpochPoint
    from audits.pilots.training_set import TrainingSet


def mark_ended(job: Job) -> None:
    state = Training.State.CANCELLED if job.state == Job.State.CANCELLED else Training.State.FAILED
    Training.objects.filter(pk=job.params["training"]).exclude(state=Training.State.DONE).update(state=state)
    if state == Training.State.CANCELLED:  # what failed, at its time limit for instance, may be tried again from there
        shutil.rmtree(_folder(job.params["training"]), ignore_errors=True)


@job_kind("training.train", title="Training a model", queue="gpu", ended=mark_ended)
def train(run: JobRun) -> None:
    """Reads the images, trains, registers the model. A run that was killed goes on after its last whole epoch."""
    from audits.pilots import training as loop

    training = Training.objects.select_related("version", "release", "created_by").get(pk=run.params["training"])
    if earlier := _models_of(training).filter(state=RegisteredModel.State.READY).first():
        _finish(training, earlier)  # an attempt before this one was killed after its work was done
        return
    training.state, training.curve = Training.State.RUNNING, []
    training.save(update_fields=["state", "curve"])
    settings = TrainingSettings.from_json(training.settings["recipe"])
    data = _read(run, training, settings)

    def told(progress: loop.Progress) -> None:
        run.progress(progress.step, progress.steps, f"epoch {progress.epoch} of {settings.epochs}")
        if len(progress.curve) > len(training.curve):
            training.curve = _curve(progress.curve)
            training.save(update_fields=["curve"])

    folder = _folder(str(training.pk))
    following = loop.Following(told, watched=loop.Watched.some_of(data))
    checkpoint, device = folder / "checkpoint.pt", loop.device_here()
    with _begin_with(training) as weights:
        trained = loop.train(data, settings, following, checkpoint=checkpoint, begin_with=weights, device=device)
    steps = steps_of(settings, len(data))
    run.progress(steps, steps, "storing the weights")
    training.curve = _curve(trained.curve)
    _register(run, training, trained.save(folder))
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _begin_with(training: Training) -> Iterator[Path | None]:
    """The weights that are tuned, where there are some."""
    if "begins_with" not in training.settings:
        yield None
        return
    with local_weights(RegisteredModel.objects.get(pk=training.settings["begins_with"])) as path:
        yield path


def _folder(training: str) -> Path:
    return site.FILES_DIR / "trainings" / training


def _read(run: JobRun, training: Training, settings: TrainingSettings) -> "TrainingSet":
    from audits.pilots.training_set import read_classes, read_pairs

    place = training.release or training.version
    files = training.release.folder / "files" if training.release else training.version.files_folder

    def told(done: int, total: int) -> None:
        run.progress(done, total, "reading images")

    with Manifest(place.folder / "manifest") as manifest:
        if settings.learns_from == "captions":
            return read_pairs(files, {entry.path: _caption(entry) for entry in manifest}, settings.side, told)
        return read_classes(files, {entry.path: entry.label for entry in manifest}, settings.side, told)


def _caption(entry: Entry) -> str:
    """What a pair's text is: the caption, or the class as a prompt."""
    text = entry.caption or (PROMPT.format(entry.label) if entry.label else "")
    if not text:
        raise TrainingError(
            f"The image {entry.path} has neither a caption nor a class, so there is nothing to train towards."
        )
    return text


def _curve(points: "Sequence[EpochPoint]") -> list[dict[str, float]]:
    """Rounded for people; what was not seen has no key."""
    seen = [{name: value for name, value in asdict(point).items() if value is not None} for point in points]
    return [{name: round(value, 4) for name, value in point.items()} for point in seen]


def spec_of(training: Training) -> ModelSpec:
    """How the trained model is asked."""
    settings = TrainingSettings.from_json(training.settings["recipe"])
    return described.spec_of(settings, training.settings.get("class_names", ()))


def _register(run: JobRun, training: Training, weights: Path) -> None:
    """The trained weights become a model of the organisation, through the same door as everybody's."""
    role = training.settings["becomes"]
    is_reference = role == RegisteredModel.ModelRole.REFERENCE
    registration = Registration(training.name, role, spec_of(training), _origin(training), declared=is_reference)
    _models_of(training).filter(state=RegisteredModel.State.ARRIVING).delete()  # left by an attempt that was killed
    model = register_local(
        training.organisation,
        registration,
        weights,
        by=training.created_by,
        on_block=lambda done, total: run.checkpoint(),
    )
    _finish(training, model)


def _models_of(training: Training) -> "models.QuerySet[RegisteredModel]":
    return RegisteredModel.objects.filter(organisation=training.organisation, origin=_origin(training))


def _finish(training: Training, model: RegisteredModel) -> None:
    training.model, training.state = model, Training.State.DONE
    training.save()


def _origin(training: Training) -> str:
    on = f"the release for {training.release.recipient}" if training.release else "the unmarked original"
    begun = training.settings.get("begins_with")
    tuned = f", beginning with the model {begun}" if begun else ""
    return f"Trained here on {on} of {training.version}{tuned} (training {training.pk})."
