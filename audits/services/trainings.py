"""Training runs of our own: started, worked off by a worker, and ended as registered models."""

import secrets
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings as site
from django.db import models, transaction

from audits.models import RegisteredModel, Training
from audits.pilots.recipe import DEVIATION, MEAN, PROMPT, TINY_CLIP, TrainingError, TrainingSettings, steps_of
from audits.services.suspects import Registration, register_local
from audits.suspects.spec import ModelSpec
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Job, Organisation, Release, Role, User, Version
from provenance.services import jobs, log
from provenance.services.access import require
from provenance.services.jobs import JobRun, job_kind

SEEDS = 2**31


@transaction.atomic
def start(
    name: str,
    version: Version,
    *,
    by: User,
    release: Release | None = None,
    settings: TrainingSettings | None = None,
    becomes: str = RegisteredModel.ModelRole.SUSPECT,
    class_names: tuple[str, ...] = (),
    queue: str = "",
) -> Training:
    """Queues the training of a tiny CLIP model on a version or, where one is named, on its release.

    Only auditors of the data's owner may: they never see the files, and they are who registers models.

    The seed is drawn here, never used twice, so that no two models share an initialisation or an order of images.
    `class_names` become prompts for soft and hard labels. Raises TrainingError where the data cannot be trained on.
    """
    organisation = version.dataset.organisation
    require(by, organisation, Role.AUDITOR)
    _check(name, version, release, becomes, organisation)
    chosen = replace(settings or TrainingSettings(seed=0), seed=_fresh_seed())
    training = Training.objects.create(
        organisation=organisation,
        name=name,
        version=version,
        release=release,
        settings={"recipe": chosen.to_json(), "becomes": becomes, "class_names": list(class_names)},
        created_by=by,
    )
    params = {"training": str(training.pk)}
    training.job = jobs.enqueue(
        "training.train", training, organisation=organisation, by=by, params=params, queue=queue
    )
    training.save(update_fields=["job"])
    log.record("training.started", training, organisation=organisation, by=by, details=_told(training))
    return training


def _check(name: str, version: Version, release: Release | None, becomes: str, organisation: Organisation) -> None:
    if version.state != Version.State.READY:
        raise TrainingError("This version is not ready yet; wait until its files have been read.")
    if release is not None and (release.version_id != version.pk or release.state != Release.State.READY):
        raise TrainingError("Train on a ready release of this version.")
    if becomes == RegisteredModel.ModelRole.REFERENCE and release is not None:
        raise TrainingError("A reference must never have seen a release; train it on the unmarked version.")
    if becomes not in (RegisteredModel.ModelRole.SUSPECT, RegisteredModel.ModelRole.REFERENCE):
        raise TrainingError("A trained model becomes a suspect or a reference.")
    if RegisteredModel.objects.filter(organisation=organisation, name=name).exists():
        raise TrainingError(f"There is a model called “{name}” already; choose another name.")


def _fresh_seed() -> int:
    while True:
        seed = secrets.randbelow(SEEDS)
        if not Training.objects.filter(settings__recipe__seed=seed).exists():
            return seed


def _told(training: Training) -> dict[str, Any]:
    """What the log says about a training."""
    on = f"release for {training.release.recipient}" if training.release else "unmarked original"
    return {"on": on, "version": str(training.version), **training.settings["recipe"]}


def mark_ended(job: Job) -> None:
    state = Training.State.CANCELLED if job.state == Job.State.CANCELLED else Training.State.FAILED
    Training.objects.filter(pk=job.params["training"]).exclude(state=Training.State.DONE).update(state=state)


@job_kind("training.train", queue="gpu", ended=mark_ended)
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


def visible(user: User) -> "models.QuerySet[Training]":
    """The person's training runs for lists, newest first, with what the lines name."""
    named = "version__dataset", "release", "model", "job", "created_by"
    return Training.objects.for_user(user).select_related(*named)


def facts(training: Training) -> list[tuple[str, str]]:
    """The settings of a run in words."""
    recipe = TrainingSettings.from_json(training.settings["recipe"])
    vision = TINY_CLIP["vision_cfg"]
    return [
        ("Network", f"tiny CLIP (open_clip), ResNet of width {vision['width']}, {vision['image_size']} px"),
        ("Epochs", f"{recipe.epochs}"),
        ("Images per step", f"{recipe.batch_size}"),
        ("Learning rate", f"{recipe.learning_rate:g}"),
        ("Seed", f"{recipe.seed}"),
        ("Labels by prompts", ", ".join(training.settings["class_names"]) or "none"),
    ]


def curve_chart(training: Training) -> dict[str, Any]:
    """Loss by epoch, for the chart component."""
    epochs = [point["epoch"] for point in training.curve]
    losses = [point["loss"] for point in training.curve]
    line = {"type": "scatter", "mode": "lines+markers", "x": epochs, "y": losses, "line": {"color": "token:accent"}}
    layout = {
        "showlegend": False,
        "xaxis": {"title": {"text": "epoch"}, "dtick": max(1, len(epochs) // 8)},
        "yaxis": {"title": {"text": "contrastive loss"}, "rangemode": "tozero"},
    }
    return {
        "figure": {"data": [line], "layout": layout},
        "columns": ["Epoch", "Loss"],
        "rows": [[str(epoch), f"{loss:.3f}"] for epoch, loss in zip(epochs, losses, strict=True)],
    }
