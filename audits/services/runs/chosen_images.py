"""What the keys of a plan's releases decide about one audit: probes, group images, patterns and their places.

Secrets: all of this exists inside the job only.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from audits.models import Plan
from audits.services.plans.values import PlanError
from provenance.canonical import canonical_json
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSecret, MarkSettings, plan_marks
from provenance.marks.cluster_files import grouped_entries
from provenance.marks.sets import candidates_of_sets
from provenance.models import Release
from provenance.services.jobs.running import JobRun
from provenance.services.keyed_choices import images_in_choice
from provenance.services.keys import open_secrets


class HasDigest(Protocol):
    """Images that one mark set is asked about."""

    @property
    def digest(self) -> str: ...


Files = list[tuple[Path, str]]


@dataclass
class ChosenOfSet:
    """What one mark set of a release decided. number: of the set, from 0; sets: how many the release has."""

    release: Release
    number: int
    sets: int

    @property
    def name(self) -> str:
        """Names the set among all sets of all releases."""
        return str(self.release.pk) if self.sets == 1 else f"{self.release.pk}/{self.number + 1}"

    @property
    def set_number(self) -> int | None:
        """Counted from 1, for people; None for the only one."""
        return self.number + 1 if self.sets > 1 else None


@dataclass
class ChosenImages(ChosenOfSet):
    """What one mark set of a release decided about this audit.

    number: of the set, from 0; sets: how many the release has; group_of (M,): group of every group image.
    """

    secret: MarkSecret
    wrong: MarkSecret | None
    probes: Files
    group_images: Files
    group_of: np.ndarray

    @property
    def family(self) -> str:
        return self.secret.settings.family

    @property
    def association(self) -> str:
        return self.secret.settings.association

    @property
    def is_plain(self) -> bool:
        return self.secret.settings.is_plain

    @property
    def places(self) -> list[str]:
        """Content digests of the probes, from which the key derives where in each a mark goes."""
        return [sha256 for _, sha256 in self.probes]

    @property
    def digest(self) -> str:
        """SHA-256 over the content digests of probes and group images; it goes into the log before any question."""
        lists = [[sha256 for _, sha256 in files] for files in (self.probes, self.group_images)]
        return hashlib.sha256(canonical_json(lists)).hexdigest()


def digest_of_sets(chosen_sets: Sequence[HasDigest]) -> str:
    """The same for all sets of one release: the only one's, or over those of all."""
    if len(chosen_sets) == 1:
        return chosen_sets[0].digest
    return hashlib.sha256(canonical_json([chosen.digest for chosen in chosen_sets])).hexdigest()


def choose_images(plan: Plan, release: Release, run: JobRun) -> list[ChosenImages]:
    """Probes and group images of every mark set in its key's own order.

    No image is among them that any set of the release proposes for marking, whether it was marked or not, and none of
    the alternatives of its keyed choice.
    """
    secrets = open_secrets(release.key)
    with Manifest(release.version.manifest_folder) as manifest:
        if manifest.root != release.version.root:
            raise PlanError("The manifest on disk is not the one that this version was registered with.")
        counts = [_group_counts(manifest, secret) for secret in secrets]
        run.checkpoint()
        in_choice = images_in_choice(release)
        proposed = candidates_of_sets(secrets, manifest, counts, in_choice)
        excluded = in_choice.union(image.position for groups in proposed for group in groups for image in group.images)
        found = []
        for number, secret in enumerate(secrets):
            run.checkpoint()
            sets = len(release.key.mark_sets)  # one of them may be a keyed choice, and have no images of this kind
            found.append(_choose_for_set(plan, release, manifest, secret, excluded, number, sets))
        return found


def _choose_for_set(
    plan: Plan,
    release: Release,
    manifest: Manifest,
    secret: MarkSecret,
    excluded: frozenset[int],
    number: int,
    sets: int,
) -> ChosenImages:
    folder = release.version.files_folder

    def file_of(index: int) -> tuple[Path, str]:
        entry = manifest.entry(index)
        return folder / entry.path, entry.sha256

    entries = grouped_entries(manifest, secret.settings)
    probes, per_group = secret.clean_images(entries, plan.probes, plan.group_images, excluded)
    flat = [(file_of(index), group) for group, indices in enumerate(per_group) for index in indices]
    return ChosenImages(
        release=release,
        number=number,
        sets=sets,
        secret=secret,
        wrong=_wrong_secret(plan, release, secret.settings, number) if plan.wrong_key_control else None,
        probes=[file_of(index) for index in probes],
        group_images=[file for file, _ in flat],
        group_of=np.array([group for _, group in flat], dtype=np.int64),
    )


def _group_counts(manifest: Manifest, secret: MarkSecret) -> list[int]:
    entries = grouped_entries(manifest, secret.settings)
    return [group.images for group in plan_marks(entries, secret.settings).groups]


def _wrong_secret(plan: Plan, release: Release, settings: MarkSettings, number: int) -> MarkSecret:
    """A key that nobody chose: the plan's digest fixes it, so it was fixed when the plan was locked.

    Its sets have secrets of their own like those of the true key, and its assignment respects the same settings.
    """
    words = [hashlib.sha256(f"touchmark/wrong key/{n}/{plan.digest}/{release.pk}".encode()).digest() for n in (1, 2)]
    return MarkSecret.derive(words[0], words[1], settings, number)
