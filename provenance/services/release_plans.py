"""What mark settings would mark in a version, before any key is drawn: counts per group, and whether there is room."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from django.core.cache import cache
from numpy.typing import NDArray

from provenance.canonical import canonical_json
from provenance.errors import TouchmarkError
from provenance.marks import ALL_IMAGES, GroupPlan, MarkSets, MarkSettings, blocks_by_size, get_family, plan_groups
from provenance.marks.caption_file import groups_of_captions
from provenance.marks.cluster_files import groups_of_clusters
from provenance.marks.copies import NO_NEAR_DUPLICATE, read_near_duplicates
from provenance.marks.groups import Grouping, plan_from_counts
from provenance.marks.room import Membership, check_room, members_of_plan, membership
from provenance.models import Version
from provenance.services.clusters import group_counts
from provenance.services.image_sizes import images_below
from provenance.services.keyed_choices import plan_of_choice
from provenance.services.manifests import open_manifest
from provenance.services.words import captions_path
from provenance.wording import count

MAX_CLASSES = 16  # every group costs an audit as many queries as there are probes
PLAN_SECONDS = 600
READ_AT_ONCE = 50_000  # entries of a manifest that are read while a person fills in a form
COUNTED_AT_ONCE = 2_000_000  # prepared captions that are searched meanwhile: about two seconds
GREY_MODES = ("1", "L", "LA", "I;16")


class ReleaseError(TouchmarkError):
    """The release cannot be made like this; the sentence says what to change."""


class UncountedError(ReleaseError):
    """The groups cannot be counted while a person fills in a form; making a release counts and checks them.

    to_see, to_sort: what to do to see the numbers all the same, and to have the groups sorted by size.
    """

    def __init__(self, why: str, to_see: str, to_sort: str) -> None:
        super().__init__(
            f"{why}. The groups are counted and checked when the release is made. "
            f"To see the numbers before: {to_see[0].lower()}{to_see[1:]}."
        )
        self.why = why
        self.to_sort = to_sort


def default_classes(version: Version) -> list[str]:
    """The classes with the most images, by name; all of them where there are few."""
    labels: dict[str, int] = version.facts.get("labels", {})
    largest = sorted(labels, key=lambda name: (-labels[name], name))[:MAX_CLASSES]
    return sorted(largest)


def plan_sets(version: Version, marks: MarkSets, *, wait: bool = True) -> list[GroupPlan]:
    """What every struck set would mark.

    wait: read a large manifest, or very many captions, where that is needed; else UncountedError is raised. Raises
    SettingsError where they would leave too few images unmarked, and ReleaseError for a family that marks
    colours where no image has any, and for marks that need more pixels than most images have.
    """
    plans = [plan_of(version, mark, wait=wait) for mark in marks.struck]
    modes = version.facts.get("modes", {})
    if modes and set(modes) <= set(GREY_MODES):
        for mark in marks.struck:
            if not get_family(mark.family).marks_grey:
                raise ReleaseError(
                    f"The family '{mark.family}' marks colours, and every image of this version is grey. "
                    "Choose another family."
                )
    for mark in marks.struck:
        _check_edges(version, mark)
    choice = plan_of_choice(version, marks)
    if plans:
        members = members_of_plan(plans[0]) if len(plans) == 1 else _membership(version, marks, wait)
        check_room(marks, members, choice.reserved if choice else lambda images: 0)
    return plans


def _check_edges(version: Version, mark: MarkSettings) -> None:
    below, edge = images_below(version, mark.least_edge), mark.least_edge
    if below > version.file_count / 2:
        remedy = "Choose fewer periods." if mark.periods > 1 else "Choose another family, or mark larger images."
        raise ReleaseError(
            f"This mark needs images of {edge} pixels or more on the short edge, and {count(below)} of the "
            f"{count(version.file_count)} images of this version are smaller. {remedy}"
        )


def small_images(version: Version, mark: MarkSettings) -> str:
    """A sentence about images too small to carry this mark, which the job passes over; nothing where none is known."""
    below = images_below(version, mark.least_edge)
    if not below:
        return ""
    return (
        f"{count(below)} of the {count(version.file_count)} images have a short edge below {mark.least_edge} pixels "
        "and cannot carry this mark; others take their places. A group with too few others ends up with fewer marks."
    )


def plan_of(version: Version, mark: MarkSettings, *, wait: bool = True) -> GroupPlan:
    """What these settings would mark in a version; plain marks have one group, of all images. wait: see `plan_sets`."""
    whole = _whole_plan(version, mark, wait)
    return whole.without(_left_out(version, mark, wait)) if mark.near_duplicates else whole


def _left_out(version: Version, mark: MarkSettings, wait: bool) -> list[int]:
    """How many images of each group have a near-duplicate; not known, and so 0, where captions are not prepared."""
    if not mark.is_plain and mark.group_by == "class":
        labels: dict[str, int] = (version.near_duplicates or {}).get("labels", {})
        return [labels.get(name, 0) for name in mark.groups]
    left_out = read_near_duplicates(version.folder, mark.near_duplicates) != NO_NEAR_DUPLICATE
    groups = _groups_of_images(version, mark, wait)
    if groups is None:
        return [0] * len(mark.groups)
    return np.bincount(groups[left_out & (groups >= 0)], minlength=max(len(mark.groups), 1)).tolist()


def _whole_plan(version: Version, mark: MarkSettings, wait: bool) -> GroupPlan:
    if not mark.is_plain and mark.group_by != "cluster":
        return plan(version, mark.group_by, mark.groups, mark.share, wait=wait)
    _check_ready(version)
    if not mark.is_plain:
        counts, outside = group_counts(version, mark.clusters, mark.groups)
        return plan_from_counts(mark.groups, counts, mark.share, outside)
    return plan_from_counts((ALL_IMAGES,), [version.file_count], mark.share)


def within_sizes(version: Version, mark: MarkSettings, factor: float, *, wait: bool = False) -> MarkSettings:
    """The same settings, with patterns exchanged only between groups of similar size.

    The numbers of marked images within a size class differ by at most `factor`. Groups that are all of a size need no
    classes and get none. wait: see `plan_sets`. Raises RestrictionError for a factor below 1.
    """
    try:
        groups = plan_of(version, mark, wait=wait).groups
    except UncountedError as error:
        raise ReleaseError(f"{error.why}, so groups of words cannot be sorted by size. {error.to_sort}.") from error
    classes = blocks_by_size([group.marked for group in groups], factor)
    return mark.replace(size_classes=classes if len(set(classes)) > 1 else ())


def plan(version: Version, group_by: str, groups: Sequence[str], share: float, *, wait: bool = True) -> GroupPlan:
    """How many images each group has and would get marked: from the facts for classes, from captions for words.

    wait: see `plan_sets`.
    """
    _check_ready(version)
    if group_by == "class":
        labels: dict[str, int] = version.facts.get("labels", {})
        counts = [labels.get(name, 0) for name in groups]
        return plan_from_counts(groups, counts, share, version.file_count - sum(counts))
    words = tuple(groups)
    name = f"word-counts/{version.pk}/{hashlib.sha256(canonical_json(words)).hexdigest()}"
    found = cache.get(name)
    if not found:
        found = _count_words(version, words, wait)
        cache.set(name, found, PLAN_SECONDS)
    return plan_from_counts(words, found[0], share, found[1], found[2])


def _count_words(version: Version, words: tuple[str, ...], wait: bool) -> tuple[list[int], int, int]:
    """Images of each group, of none, and of several."""
    groups = _groups_of_captions(version, words, wait)
    if groups is not None:
        aside = [int((groups == other).sum()) for other in (Grouping.NONE, Grouping.AMBIGUOUS)]
        return np.bincount(groups[groups >= 0], minlength=len(words)).tolist(), aside[0], aside[1]
    _check_countable(version, wait, READ_AT_ONCE)
    with open_manifest(version) as manifest:
        whole = plan_groups(manifest, "word", words, 1.0)
    return [group.images for group in whole.groups], whole.outside, whole.ambiguous


def _groups_of_captions(version: Version, words: Sequence[str], wait: bool) -> NDArray[np.int16] | None:
    """The group of every image by the prepared captions; None where there are none, or not one for every image."""
    if not captions_path(version).exists():
        return None
    _check_countable(version, wait, COUNTED_AT_ONCE)
    groups = groups_of_captions(captions_path(version), words)
    return groups if len(groups) == version.file_count else None


def _check_countable(version: Version, wait: bool, most: int) -> None:
    """most: images that can be counted while a person waits, in the way that is about to be taken."""
    if wait or version.file_count <= most:
        return
    if version.file_count > COUNTED_AT_ONCE:
        raise UncountedError(
            "This version has too many images to count while a form is filled in",
            "Run the command list_presets with these groups",
            "Make the release with the command make_release and its option --size-classes",
        )
    prepare = "Have its words counted on its page, and wait for that job"
    raise UncountedError("The captions of this large version are not prepared for counting yet", prepare, prepare)


def _membership(version: Version, marks: MarkSets, wait: bool) -> Membership:
    """How many images belong to which groups of the sets; from the facts alone where no set reads captions."""
    if all(mark.is_plain or mark.group_by == "class" for mark in marks.struck):
        labels: dict[str, int] = version.facts.get("labels", {})
        found: Membership = Counter()
        for label, count in labels.items():
            found[tuple(_group_of_label(mark, label) for mark in marks.struck)] += count
        found[tuple(0 if mark.is_plain else -1 for mark in marks.struck)] += version.file_count - sum(labels.values())
        return found
    groupings = [(mark.association, mark.group_by, mark.groups, mark.clusters) for mark in marks.struck]
    name = f"set-groups/{version.pk}/{hashlib.sha256(canonical_json(groupings)).hexdigest()}"
    counted: Membership | None = cache.get(name)
    if counted is None:
        counted = _count_membership(version, marks, wait)
        cache.set(name, counted, PLAN_SECONDS)
    return counted


def _count_membership(version: Version, marks: MarkSets, wait: bool) -> Membership:
    columns = [_groups_of_images(version, mark, wait) for mark in marks.struck]
    known = [column.tolist() for column in columns if column is not None]
    if len(known) == len(columns):
        return Counter(zip(*known, strict=True))
    _check_countable(version, wait, READ_AT_ONCE)
    with open_manifest(version) as manifest:
        return membership(manifest, marks)


def _groups_of_images(version: Version, mark: MarkSettings, wait: bool) -> NDArray[np.int16] | None:
    """The group of every image, -1 where it has none; None where only the manifest says so."""
    if mark.is_plain:
        return np.zeros(version.file_count, dtype=np.int16)
    if mark.group_by == "cluster":
        return groups_of_clusters(version.folder, mark)
    groups = _groups_of_captions(version, mark.groups, wait) if mark.group_by == "word" else None
    return None if groups is None else np.maximum(groups, Grouping.NONE)


def _group_of_label(mark: MarkSettings, label: str) -> int:
    if mark.is_plain:
        return 0
    return mark.groups.index(label) if label in mark.groups else -1


def _check_ready(version: Version) -> None:
    if version.state != Version.State.READY:
        raise ReleaseError("The files of this version have not been read yet.")
