"""Training runs of our own: started by an auditor, with a seed that no other model has."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db import models, transaction

from audits.models import RegisteredModel, Training
from audits.pilots.checked import TrainingError
from audits.pilots.described import check_network, spec_of
from audits.pilots.methods import method_of
from audits.pilots.recipe import TrainingSettings
from audits.pilots.suited import check_suited
from provenance.models import Organisation, Release, Role, User, Version
from provenance.services import log
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.wording import count

SEEDS = 2**31
ENCODER, SIDE = "small_resnet:16", 32  # where the method has no network of its own
UNDER_WAY = (Training.State.QUEUED, Training.State.RUNNING)
ROLES = [(role.value, role.label) for role in (RegisteredModel.ModelRole.REFERENCE, RegisteredModel.ModelRole.SUSPECT)]


def may_train_on(user: User) -> "models.QuerySet[Version]":
    """Ready versions of the organisations whose auditor the person is."""
    own = user.organisations(Role.AUDITOR)
    found = Version.objects.ready().filter(dataset__organisation__in=own)
    return found.select_related("dataset").order_by("dataset__name", "-number")


def may_be_tuned(user: User) -> "models.QuerySet[RegisteredModel]":
    """Models that were trained here for those organisations."""
    trained = Training.objects.filter(organisation__in=user.organisations(Role.AUDITOR), model__isnull=False)
    return RegisteredModel.objects.filter(pk__in=trained.values("model"), state=RegisteredModel.State.READY)


def settings_for(method: Mapping[str, Any], encoder: str, side: int, **given: Any) -> TrainingSettings:
    """Of a run by this method, whose seed `start` draws; encoder and side are those of methods without their own.

    Raises TrainingError.
    """
    chosen = method_of(method)
    if chosen.learns_from != "captions":
        given |= {"encoder": encoder or ENCODER, "side": side}
    elif encoder:
        given["encoder"] = encoder  # which says that CLIP has its own
    return TrainingSettings(seed=0, method=chosen, **given)


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
    begin_with: RegisteredModel | None = None,
    queue: str = "",
) -> Training:
    """Queues the training of a small model on a version or, where one is named, on its release.

    Only auditors of the data's owner may: they never see the files, and they are who registers models. `class_names`
    become prompts for CLIP's soft and hard labels; `begin_with` is a model trained here that is tuned further. Raises
    TrainingError where the data cannot be trained on.
    """
    organisation = version.dataset.organisation
    require(by, organisation, Role.AUDITOR)
    _check(name, version, release, becomes, organisation)
    # Never used twice, so that no two models share an initialisation or an order of images.
    chosen = replace(settings or TrainingSettings(seed=0), seed=_fresh_seed())
    _check_settings(version, chosen, class_names)
    begun: dict[str, str] = {}
    if begin_with is not None:
        _check_beginning(begin_with, chosen, organisation, becomes)
        begun = {"begins_with": str(begin_with.pk)}
    training = Training.objects.create(
        organisation=organisation,
        name=name,
        version=version,
        release=release,
        settings={"recipe": chosen.to_json(), "becomes": becomes, "class_names": list(class_names), **begun},
        created_by=by,
    )
    params = {"training": str(training.pk)}
    training.job = enqueue("training.train", training, organisation=organisation, by=by, params=params, queue=queue)
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
    if becomes not in dict(ROLES):
        raise TrainingError("A trained model becomes a suspect or a reference.")
    if RegisteredModel.objects.filter(organisation=organisation, name=name).exists():
        raise TrainingError(f"There is a model called “{name}” already; choose another name.")
    if Training.objects.filter(organisation=organisation, name=name, state__in=UNDER_WAY).exists():
        raise TrainingError(f"A model called “{name}” is being trained already; choose another name.")


def _check_settings(version: Version, settings: TrainingSettings, class_names: tuple[str, ...]) -> None:
    """Refuses what would fail once it was trained."""
    check_network(settings)
    if class_names and settings.learns_from != "captions":
        raise TrainingError("Class names become prompts of CLIP; leave them out for other methods.")
    spec_of(settings, class_names)
    check_suited([settings.method], version.file_count, version.facts)
    if version.file_count < settings.batch_size:
        raise TrainingError(
            f"{count(version.file_count)} images do not fill one step of {count(settings.batch_size)}; let a step have "
            "fewer."
        )


def _check_beginning(
    model: RegisteredModel, settings: TrainingSettings, organisation: Organisation, becomes: str
) -> None:
    """Weights from elsewhere are opened in the confined child alone, so only models trained here are tuned."""
    before = Training.objects.filter(model=model).first()
    if model.organisation_id != organisation.pk or before is None:
        raise TrainingError("Tune a model that this instance trained itself, for the same organisation.")
    if becomes == RegisteredModel.ModelRole.REFERENCE and _saw_a_release(before):
        raise TrainingError("A reference must never have seen a release, nor begin with a model that has.")
    if model.model_spec.architecture != settings.encoder:
        raise TrainingError(f"{model.name} is {model.model_spec.architecture}; train the same network further.")


def _saw_a_release(training: Training | None) -> bool:
    """It, or a training that it began with."""
    while training is not None:
        if training.release_id is not None:
            return True
        training = Training.objects.filter(model=training.settings.get("begins_with")).first()
    return False


def _fresh_seed() -> int:
    while True:
        seed = secrets.randbelow(SEEDS)
        if not Training.objects.filter(settings__recipe__seed=seed).exists():
            return seed


def _told(training: Training) -> dict[str, Any]:
    """What the log says about a training."""
    on = f"release for {training.release.recipient}" if training.release else "unmarked original"
    begun = {key: value for key, value in training.settings.items() if key == "begins_with"}
    return {"on": on, "version": str(training.version), **begun, **training.settings["recipe"]}
