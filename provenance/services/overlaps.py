"""Which versions hold the same images: those with one root, and those that share half of the smaller one's files.

Files are told apart by their SHA-256, over the datasets of all organisations; images that were encoded anew are others.
Never show whose a version of another organisation is. What for: docs/method.md, section 6.8.
"""

from collections.abc import Sequence

from django.db.models import Q
from django.utils import timezone

from provenance.intake.contents import contents, shared
from provenance.intake.errors import ManifestError
from provenance.models import Overlap, Version


def same_images(version: Version) -> Q:
    """Which versions hold the same images as this one, itself among them; to be asked of versions."""
    pairs = Overlap.objects.of_same_images()
    near = Q(pk__in=pairs.filter(one=version).values("other")) | Q(pk__in=pairs.filter(other=version).values("one"))
    return Q(pk=version.pk) | near | (Q(root=version.root) if version.root else Q())


def compare_all() -> None:
    """Compares the versions that were not compared yet: those of before this was done, and those of a killed job."""
    done: list[Version] = []
    for version in Version.objects.ready().filter(compared_at=None).order_by("ready_at", "pk"):
        compare(version, leave_out=done)
        done.append(version)


def compare(version: Version, leave_out: Sequence[Version] = ()) -> None:
    """Notes with which other versions this one has files in common. Reads every other one's file of contents.

    Of two that become ready at the same time each sees the other, for a version is ready before it is compared. One
    whose manifest is missing is left for the next time.
    """
    try:
        mine = contents(version.manifest_folder)
    except ManifestError:
        return
    others = Version.objects.ready().exclude(pk__in=[version.pk, *(one.pk for one in leave_out)])
    for other in others.order_by("ready_at", "pk").iterator():
        try:
            theirs = contents(other.manifest_folder)
        except ManifestError:
            continue
        _note(version, other, shared(mine, theirs), min(len(mine), len(theirs)))
    Version.objects.filter(pk=version.pk).update(compared_at=timezone.now())


def _note(version: Version, other: Version, common: int, smaller: int) -> None:
    if common:
        one, two = sorted((version, other), key=lambda each: each.pk)
        Overlap.objects.update_or_create(one=one, other=two, defaults={"shared": common, "smaller": smaller})
