"""The job that trains a model of our own and registers it."""

import shutil
from pathlib import Path

from django.conf import settings as site
from django.db import models

from audits.models import RegisteredModel, Training
from audits.pilots.recipe import DEVIATION, MEAN, PROMPT, TINY_CLIP, TrainingError, TrainingSettings, steps_of
from audits.services.models.registering import Registration, register_local
from audits.suspects.spec import ModelSpec
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Job
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun


def mark_ended(job: Job) -> None:
    state = Training.State.CANCELLED if job.state == Job.State.CANCELLED else Training.State.FAILED
    Training.objects.filter(pk=job.params["training"]).exclude(state=Training.State.DONE).update(state=state)


@job_kind("training.train", title="Training a model", queue="gpu", ended=mark_ended)
def train(run: JobRun) -> None:
    """Reads the pairs, trains, registers the model. A run that was killed begins anew: it takes minutes."""
    from audits.pilots import clip
    from audits.pilots.pairs import read_pairs

    training = Training.objects.select_related("version", "release", "created_by").get(pk=run.params["training"])
    if earlier := _models_of(training).filter(state=RegisteredModel.State.READY).first():
        return _finish(training, earlier)  # an attempt before this one was killed after its work was done
    Training.objects.filter(pk=training.pk).update(state=Training.State.RUNNING, curve=[])
    settings = TrainingSettings.from_json(training.settings["recipe"])
    place = training.release or training.version
    files = training.release.folder / "files" if training.release else training.version.files_folder
    with Manifest(place.folder / "manifest") as manifest:
        captions = {entry.path: _caption(entry) for entry in manifest}
    side = TINY_CLIP["vision_cfg"]["image_size"]
    pairs = read_pairs(files, captions, side, lambda done, total: run.progress(done, total, "reading images"))

    def told(progress: clip.Progress) -> None:
        run.progress(progress.step, progress.steps, f"epoch {progress.epoch} of {settings.epochs}")
        if len(progress.losses) > len(training.curve):
            training.curve = _curve(progress.losses)
            training.save(update_fields=["curve"])

    trained = clip.train(pairs, settings, progress=told)
    steps = steps_of(settings, len(pairs))
    run.progress(steps, steps, "storing the weights")
    training.curve = _curve(trained.losses)
    folder = site.FILES_DIR / "trainings" / str(training.pk)
    try:
        _register(run, training, trained.save(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _caption(entry: Entry) -> str:
    """What a pair's text is: the caption, or the class as a prompt."""
    text = entry.caption or (PROMPT.format(entry.label) if entry.label else "")
    if not text:
        raise TrainingError(
            f"The image {entry.path} has neither a caption nor a class, so there is nothing to train towards."
        )
    return text


def _curve(losses: tuple[float, ...]) -> list[dict[str, float]]:
    return [{"epoch": number, "loss": round(loss, 4)} for number, loss in enumerate(losses, start=1)]


def spec_of(training: Training) -> ModelSpec:
    """How the trained model is asked: features, and labels by prompts where class names were given."""
    names = tuple(training.settings.get("class_names", ()))
    return ModelSpec.from_json(
        {
            "architecture": "open_clip:custom",
            "config": TINY_CLIP,
            "returns": ["features", "soft", "hard"] if names else ["features"],
            "mean": list(MEAN),
            "deviation": list(DEVIATION),
            "class_names": list(names),
            "templates": [PROMPT],
        }
    )


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
    return f"Trained here on {on} of {training.version} (training {training.pk})."
