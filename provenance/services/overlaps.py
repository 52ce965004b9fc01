"""Which versions hold the same images: those with one root, and those that share half of the smaller one's files, or
a hundred.

Files are told apart by their SHA-256, over the datasets of all organisations; images that were encoded anew are others.
Never show whose a version of another organisation is. What for: docs/method.md, section 6.8.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from provenance.intake.contents import contents, shared
from provenance.intake.errors import ManifestError
from provenance.models import Overlap, Version


def same_images(version: Version) -> Q:
    """Which versions hold the same images as this one, itself among them; to be asked of versions."""
    return Q(pk__in=family(version))


def family(version: Version) -> set[UUID]:
    """The versions that hold the same images, found from one to the next.

    The way leads over versions of the same owner alone: one of a stranger counts, but ties nothing further together,
    or a stranger could make two of the owner's sets one.
    """
    found, reached = {version.pk}, {version.pk}
    own = Version.objects.filter(dataset__organisation=version.dataset.organisation_id)
    while reached:
        near = _neighbours(reached) - found
        found |= near
        reached = set(own.filter(pk__in=near).values_list("pk", flat=True))
    return found


def _neighbours(versions: Collection[UUID]) -> set[UUID]:
    pairs = Overlap.objects.of_same_images().filter(Q(one__in=versions) | Q(other__in=versions))
    roots = Version.objects.filter(pk__in=versions).exclude(root="").values("root")
    alike = Version.objects.filter(root__in=roots).values_list("pk", flat=True)
    return {pk for pair in pairs.values_list("one", "other") for pk in pair}.union(alike)


def not_compared() -> "QuerySet[Version]":
    """Versions of which nobody knows with which others they share files: their manifest is missing."""
    return Version.objects.ready().filter(compared_at=None)


def compare_all() -> None:
    """Compares the versions that were not compared yet: those of before this was done, those of a killed job, and those
    whose manifest was missing."""
    done: list[Version] = []
    for version in not_compared().order_by("ready_at", "pk"):
        compare(version, leave_out=done)
        done.append(version)


def compare(version: Version, leave_out: Sequence[Version] = ()) -> None:
    """Notes with which other versions this one has files in common. Reads every other one's file of contents.

    Of two that become ready at the same time each sees the other, for a version is ready before it is compared. One
    whose manifest is missing, this one or another, is compared anew the next time.
    """
    try:
        mine = contents(version.manifest_folder)
    except ManifestError:
        return
    missing: list[UUID] = []
    others = Version.objects.ready().exclude(pk__in=[version.pk, *(one.pk for one in leave_out)])
    for other in others.order_by("ready_at", "pk").iterator():
        try:
            theirs = contents(other.manifest_folder)
        except ManifestError:
            missing.append(other.pk)
            continue
        _note(version, other, shared(mine, theirs), min(len(mine), len(theirs)))
    Version.objects.filter(pk__in=missing).update(compared_at=None)
    Version.objects.filter(pk=version.pk).update(compared_at=timezone.now())


def _note(version: Version, other: Version, common: int, smaller: int) -> None:
    if common:
        one, two = sorted((version, other), key=lambda each: each.pk)
        Overlap.objects.update_or_create(one=one, other=two, defaults={"shared": common, "smaller": smaller})
