"""Which versions hold the same images: those with one root, and those that share half of the smaller one's files, or
a hundred.

Files are told apart by their SHA-256, over the datasets of all organisations; images that were encoded anew are others.
Never show whose a version of another organisation is. What for: docs/method.md, section 6.8.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from itertools import pairwise
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from provenance.intake.contents import contents, shared
from provenance.intake.errors import ManifestError
from provenance.models import Organisation, Overlap, Version
from provenance.services.log import record


def same_images(version: Version, auditor: UUID | None = None) -> Q:
    """Which versions hold the same images as this one, itself among them; to be asked of versions. See `family`."""
    return Q(pk__in=family(version, auditor))


def family(version: Version, auditor: UUID | None = None) -> set[UUID]:
    """The versions that hold the same images, found from one to the next.

    The way leads over versions of the same owner alone: one of a stranger counts, but ties nothing further together,
    or a stranger could make two of the owner's sets one. One that was given up may hold anything: the owner's is the
    same as all its others, and that of `auditor`, the organisation that asks, counts.
    """
    owner = version.dataset.organisation_id
    own = Version.objects.filter(dataset__organisation=owner)
    lost = Version.objects.given_up().filter(dataset__organisation__in=[one for one in (owner, auditor) if one])
    whose = dict(lost.values_list("pk", "dataset__organisation"))
    reached = {version.pk}
    if owner in whose.values():
        reached |= set(own.ready().values_list("pk", flat=True))
    found = reached | whose.keys()
    while reached:
        near = _neighbours(reached, found)
        found |= near
        reached = set(own.filter(pk__in=near).values_list("pk", flat=True))
    return found


def _neighbours(versions: Collection[UUID], found: Collection[UUID]) -> set[UUID]:
    """Of these versions, but for those that were found before: in a large family most pairs are among those."""
    pairs = Overlap.objects.of_same_images()
    others = pairs.filter(one__in=versions).exclude(other__in=found).values_list("other", flat=True)
    ones = pairs.filter(other__in=versions).exclude(one__in=found).values_list("one", flat=True)
    roots = Version.objects.filter(pk__in=versions).exclude(root="").values("root")
    alike = Version.objects.filter(root__in=roots).exclude(pk__in=found).values_list("pk", flat=True)
    return {*others.order_by("other").distinct(), *ones.order_by("one").distinct(), *alike}


def count_families(versions: Iterable[UUID], owner: Organisation) -> int:
    """How many sets of images these versions of one owner are; copies of the same images are one."""
    near = _ties_among(owner)
    count, known = 0, set[UUID]()
    for version in versions:
        count += version not in known
        known |= _reached(version, near, known)
    return count


def _ties_among(owner: Organisation) -> dict[UUID, set[UUID]]:
    """Each of an owner's versions with some that hold the same images, all others to be reached over these."""
    pairs = Overlap.objects.of_same_images().filter(
        one__dataset__organisation=owner, other__dataset__organisation=owner
    )
    rooted = Version.objects.filter(dataset__organisation=owner).exclude(root="").order_by("root")
    in_a_row = pairwise(rooted.values_list("root", "pk"))
    alike = [(one, other) for (root, one), (next_root, other) in in_a_row if root == next_root]
    lost = Version.objects.given_up().filter(dataset__organisation=owner).values_list("pk", flat=True)
    every = Version.objects.ready().filter(dataset__organisation=owner).values_list("pk", flat=True) if lost else ()
    unknown = [(one, other) for one in lost[:1] for other in every if one != other]
    near: dict[UUID, set[UUID]] = defaultdict(set)
    for one, other in [*pairs.values_list("one", "other"), *alike, *unknown]:
        near[one].add(other)
        near[other].add(one)
    return near


def _reached(version: UUID, near: Mapping[UUID, set[UUID]], known: Set[UUID]) -> set[UUID]:
    found, ahead = set[UUID](), {version} - known
    while ahead:
        found |= ahead
        ahead = {pk for one in ahead for pk in near.get(one, ())} - found
    return found


def not_compared() -> "QuerySet[Version]":
    """Versions of which nobody knows with which others they share files: mostly, their manifest is missing."""
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
    _take_back(version)


@transaction.atomic
def _take_back(version: Version) -> None:
    """A manifest that was given up and is back counts as any other."""
    back = Version.objects.given_up().filter(pk=version.pk).update(given_up_at=None, given_up_because="")
    if back:
        owner = version.dataset.organisation
        record("version.manifest_back", version, organisation=owner, by=None, digests={"manifest_root": version.root})


def _note(version: Version, other: Version, common: int, smaller: int) -> None:
    if common:
        one, two = sorted((version, other), key=lambda each: each.pk)
        Overlap.objects.update_or_create(one=one, other=two, defaults={"shared": common, "smaller": smaller})
