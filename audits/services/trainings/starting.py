"""Training runs of our own: started by an auditor, with a seed that no other model has."""

import secrets
from dataclasses import replace
from typing import Any

from django.db import transaction

from audits.models import RegisteredModel, Training
from audits.pilots.checked import TrainingError
from audits.pilots.recipe import TrainingSettings
from provenance.models import Organisation, Release, Role, User, Version
from provenance.services import log
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue

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
    """Queues the training of a small model on a version or, where one is named, on its release.

    Only auditors of the data's owner may: they never see the files, and they are who registers models. `class_names`
    become prompts for CLIP's soft and hard labels. Raises TrainingError where the data cannot be trained on.
    """
    organisation = version.dataset.organisation
    require(by, organisation, Role.AUDITOR)
    _check(name, version, release, becomes, organisation)
    # Never used twice, so that no two models share an initialisation or an order of images.
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
