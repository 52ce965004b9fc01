"""Whether marks leave enough images unmarked: probes and the audit's clean images come from these."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from provenance.marks.cluster_files import InFolder, grouped_entries
from provenance.marks.errors import SettingsError
from provenance.marks.groups import GroupPlan
from provenance.marks.secret import candidate_limit
from provenance.marks.sets import MarkSets
from provenance.marks.settings import ALL_IMAGES, MANY_SPARES, MarkSettings

MOST_MARKED = 0.5  # of a group's images, by several sets together
LEAST_PROBES = 10  # of an audit; it takes at least one clean image of every group besides

# How many images belong to group i of the first set, group j of the second …; -1 where they belong to none.
Membership = Counter[tuple[int, ...]]


def membership(manifest: InFolder, marks: MarkSets) -> Membership:
    """Count in one pass which groups of the sets the images belong to; memory grows with the combinations alone."""
    groupings = [(mark.clusters, mark.grouping()) for mark in marks.struck]
    streams = {mark.clusters: grouped_entries(manifest, mark) for mark in marks.struck}
    found: Membership = Counter()
    for entries in zip(*streams.values(), strict=True):
        entry = dict(zip(streams, entries, strict=True))
        found[tuple(max(grouping.group_of(entry[clusters]), -1) for clusters, grouping in groupings)] += 1
    return found


def members_of_plan(plan: GroupPlan) -> Membership:
    """The membership of one set's groups, whose images were counted already."""
    members: Membership = Counter({(-1,): plan.outside + plan.ambiguous})
    for number, group in enumerate(plan.groups):
        members[(number,)] = group.images
    return members


def check_room(marks: MarkSets, members: Membership, in_choice: Callable[[int], int] = lambda images: 0) -> None:
    """Refuse marks that no audit could test, and several sets that together would mark more than half.

    An audit needs a clean image of every group and probes beside them; the half counts in every group and over all.
    in_choice: of so many images, how many may stand in blocks of which one stays home; they are no clean images.
    Raises SettingsError that names the group and says what to change.
    """
    sets = marks.struck
    for own, mark in enumerate(sets):
        for group, name in enumerate(mark.groups or (ALL_IMAGES,)):
            cells = {cell: count for cell, count in members.items() if cell[own] == group and count}
            _check(f"the images of the group {name}" if mark.groups else name, sets, cells, in_choice)
    _check(ALL_IMAGES, sets, members, in_choice)
    _check_probes(sets, members, in_choice)


def _check(
    what: str, sets: Sequence[MarkSettings], cells: dict[tuple[int, ...], int], in_choice: Callable[[int], int]
) -> None:
    """`cells`: the part of the membership that the group is made of."""
    images = sum(cells.values())
    if not images:
        return
    inside = [sum(count for cell, count in cells.items() if cell[other] >= 0) for other in range(len(sets))]
    marked = sum(mark.share * count for mark, count in zip(sets, inside, strict=True)) / images
    if len(sets) > 1 and marked > MOST_MARKED + 1e-9:
        raise SettingsError(
            f"The mark sets together would mark {marked:.0%} of {what}. At most half may be marked, so "
            "that an audit finds clean images to compare with: lower the shares, or use fewer sets."
        )
    left = images - in_choice(images)
    for mark, count in zip(sets, inside, strict=True):
        if count:
            left -= candidate_limit(count, mark.share, min(left, count), len(sets), MANY_SPARES)
    if left < 1:
        raise SettingsError(f"{_these(sets)} would leave no clean image to compare with among {what}. {_remedy(sets)}")


def _check_probes(sets: Sequence[MarkSettings], members: Membership, in_choice: Callable[[int], int]) -> None:
    images = sum(members.values())
    left = images - in_choice(images)
    free_part = left / images if images else 0
    for own, mark in enumerate(sets):
        groups: Counter[int] = Counter()
        for cell, count in members.items():
            groups[cell[own]] += count
        del groups[-1]
        sizes = [(count, min(left, math.ceil(count * free_part))) for count in groups.values()]
        left -= sum(candidate_limit(count, mark.share, free, len(sets), MANY_SPARES) for count, free in sizes)
    needed = clean_images_needed(sets)
    if left < needed:
        raise SettingsError(
            f"{_these(sets)} would leave {max(left, 0)} clean images, and an audit needs {needed}. {_remedy(sets)}"
        )


def clean_images_needed(sets: Iterable[MarkSettings]) -> int:
    """The fewest with which an audit could test every set: probes, and beside them an image of every group."""
    return LEAST_PROBES + max(len(mark.groups) for mark in sets)


def _these(sets: Sequence[MarkSettings]) -> str:
    return "The mark sets together" if len(sets) > 1 else "These marks"


def _remedy(sets: Sequence[MarkSettings]) -> str:
    return "Choose larger groups, or use fewer sets." if len(sets) > 1 else "Lower the share, or mark more images."
