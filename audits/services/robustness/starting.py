"""Tables of robustness: what may be asked for, what it takes, started and found again."""

import secrets
from dataclasses import dataclass

from django.db import models, transaction

from audits.models import Robustness
from audits.pilots.described import check_network
from audits.pilots.methods import METHODS, Moco
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, TrainingSettings
from audits.pilots.suited import check_alpha, check_suited
from audits.robustness.attacks.catalogue import FIRST, named
from audits.robustness.copies import RobustnessError
from audits.robustness.settings import ANY_BLOCKS, RobustnessSettings, in_pool
from audits.scenes.procedural import CLASSES
from audits.services.code_version import code_version
from provenance.marks import PRESETS, MarkSettings, WithheldSettings
from provenance.marks.settings import ASSOCIATIONS
from provenance.marks.withheld import DEFAULT_BLOCK, DEFAULT_SHARE, WITHHELD
from provenance.models import Job, Organisation, Role, User, Version
from provenance.services import log
from provenance.services.access import require
from provenance.services.jobs.queue import enqueue
from provenance.wording import count

ROLES = (Role.RIGHTS_HOLDER, Role.AUDITOR)
SEEDS = 2**31
MARKS = (WITHHELD, *PRESETS)
MOST_GROUPS = 16
LEAST_BATCH = 8


@dataclass(frozen=True)
class Wanted:
    """What a person asks for. mark: "withheld", or the name of a preset of the family. seed: drawn where None."""

    version: Version | None = None
    mark: str = WITHHELD
    family: str = "patch"
    association: str = ASSOCIATIONS[0]
    decoys: int = 999
    block_size: int = DEFAULT_BLOCK
    share: float = DEFAULT_SHARE
    method: str = "simclr"
    encoder: str = "small_resnet:16"
    epochs: int = 100
    side: int = 32
    images: int = 2000
    trials: int = 5
    references: int = 2
    attacks: tuple[str, ...] = FIRST
    seed: int | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes of the images, the largest first."""
        if self.version is None:
            return CLASSES
        counts: dict[str, int] = self.version.facts.get("labels", {})
        return tuple(sorted(counts, key=lambda name: (-counts[name], name)))

    @property
    def recipe(self) -> TrainingSettings:
        if self.method not in METHODS:
            raise RobustnessError(f"There is no method “{self.method}”. Choose among {', '.join(METHODS)}.")
        batch = max(LEAST_BATCH, min(128, in_pool(self.images) // 8))
        # Pictures must not part from themselves, nor where an evader tunes on his few clean images.
        method = (
            Moco(queue=max(batch, min(4096, self.images // 10))) if self.method == "moco" else METHODS[self.method]()
        )
        if method.learns_from == "captions":
            side = TINY_CLIP["vision_cfg"]["image_size"]
            return TrainingSettings(
                seed=0, epochs=self.epochs, batch_size=batch, encoder=TINY_CLIP_NAME, method=method, side=side
            )
        return TrainingSettings(
            seed=0, epochs=self.epochs, batch_size=batch, encoder=self.encoder, method=method, side=self.side
        )

    @property
    def settings(self) -> RobustnessSettings:
        """Raises RobustnessError, TrainingError or SettingsError with the first thing that cannot be."""
        return RobustnessSettings(
            recipe=self.recipe,
            mark=self._mark(),
            attacks=named(self.attacks),
            images=self.images,
            trials=self.trials,
            references=self.references,
            decoys=self.decoys,
            seed=self.seed or 0,
        )

    def _mark(self) -> MarkSettings | WithheldSettings:
        if self.mark == WITHHELD:
            return WithheldSettings(ANY_BLOCKS, self.block_size, self.share)
        if self.mark not in PRESETS:
            raise RobustnessError(f"There are no marks “{self.mark}”. Choose among {', '.join(MARKS)}.")
        groups = () if self.association == "plain" else tuple(sorted(self.labels[:MOST_GROUPS]))
        if self.association != "plain" and len(groups) < 2:
            raise RobustnessError(
                "Associated marks are struck by class here, and these images have none; choose plain marks, or "
                "withheld images."
            )
        return PRESETS[self.mark].settings(groups, family=self.family, association=self.association)


def usable_versions(user: User) -> "models.QuerySet[Version]":
    """Ready versions of the organisations for which this person may start."""
    found = Version.objects.ready().filter(dataset__organisation__in=user.organisations(*ROLES))
    return found.select_related("dataset").order_by("dataset__name", "-number")


@transaction.atomic
def start(organisation: Organisation, wanted: Wanted, *, by: User) -> Robustness:
    """Queues a table. Raises as `check` does, and PermissionDenied for whom it is not."""
    require(by, organisation, *ROLES)
    settings = check(wanted)
    version = wanted.version
    if version is not None and version.dataset.organisation_id != organisation.pk:
        raise RobustnessError(f"{version} is no version of {organisation}.")
    seed = secrets.randbelow(SEEDS) if wanted.seed is None else wanted.seed
    made = Robustness.objects.create(
        organisation=organisation,
        settings=settings.to_json() | {"seed": seed},
        version=version,
        code_version=code_version(),
        created_by=by,
    )
    params = {"robustness": str(made.pk)}
    made.job = enqueue("robustness.measure", made, organisation=organisation, by=by, params=params)
    made.save(update_fields=["job"])
    details = {
        "images": made.images,
        "marks": wanted.mark if wanted.mark == WITHHELD else f"{wanted.mark} {wanted.family}, {wanted.association}",
        "method": settings.recipe.method.title,
        "attacks": len(settings.attacks),
        "trials": settings.trials,
        "seed": seed,
        "code": made.code_version,
    }
    log.record("robustness.started", made, organisation=organisation, by=by, details=details)
    return made


def check(wanted: Wanted) -> RobustnessSettings:
    """The settings. Raises a TouchmarkError with the first thing that cannot be; the sentence says what to change."""
    settings = wanted.settings
    check_network(settings.recipe)
    if isinstance(settings.mark, MarkSettings):
        check_alpha(settings.mark, settings.alpha)
    if wanted.version is not None:
        if wanted.version.state != Version.State.READY:
            raise RobustnessError("This version is not ready yet; wait until its files have been read.")
        if wanted.version.file_count < wanted.images:
            raise RobustnessError(f"This version has {count(wanted.version.file_count)} images; take so many or fewer.")
        check_suited([settings.recipe.method], wanted.images, wanted.version.facts)
    return settings


def visible(user: User) -> "models.QuerySet[Robustness]":
    """The person's tables for lists, newest first."""
    return Robustness.objects.for_user(user).select_related("version__dataset", "job", "created_by")


def mark_ended(job: Job) -> None:
    state = Robustness.State.CANCELLED if job.state == Job.State.CANCELLED else Robustness.State.FAILED
    ended = Robustness.objects.filter(pk=job.params["robustness"]).exclude(state=Robustness.State.DONE)
    for made in ended:
        made.state = state
        made.save(update_fields=["state"])
        verb = "robustness.cancelled" if state == Robustness.State.CANCELLED else "robustness.failed"
        details = {"reason": job.reason} if job.reason else {}
        log.record(verb, made, organisation=made.organisation, by=None, details=details)
