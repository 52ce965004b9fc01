"""Which group an image belongs to, and how many of each group a setting would mark. No torch, no key."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from provenance.marks.captions import Names, folded

FEW_IMAGES = 50  # fewer marked images per group than this leave little trace (docs/strength.md)


class EntryLike(Protocol):
    """What marks read of a manifest entry."""

    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def label(self) -> str | None: ...
    @property
    def caption(self) -> str | None: ...


class Everything:
    """One group that holds every image: the grouping of plain marks."""

    def group_of(self, entry: EntryLike) -> int:
        return 0


class Grouping:
    """Assigns entries to groups by their label or by a word of their caption (docs/method.md, section 2.3).

    Clusters come as labels: `provenance.marks.cluster_files.grouped_entries` gives every entry its cluster's name.
    """

    AMBIGUOUS = -2
    NONE = -1

    def __init__(self, group_by: str, groups: Sequence[str]) -> None:
        self.group_by = group_by
        self.groups = tuple(groups)
        self._label = {name: index for index, name in enumerate(self.groups)}
        self.words = {folded(name): index for index, name in enumerate(self.groups)}
        self._names = Names(self.words)

    def group_of(self, entry: EntryLike) -> int:
        """Index of the entry's group, NONE, or AMBIGUOUS where its caption names several."""
        if self.group_by != "word":
            return self._label.get(entry.label, self.NONE) if entry.label is not None else self.NONE
        return self.group_of_text(folded(entry.caption or ""))

    def group_of_text(self, text: str) -> int:
        """The same for a folded caption, where groups are words."""
        found = {self.words[name] for name in self._names.found_in(text)}
        if len(found) > 1:
            return self.AMBIGUOUS
        return found.pop() if found else self.NONE


@dataclass(frozen=True)
class GroupCount:
    """One group: how many images it has and how many of them would be marked."""

    name: str
    images: int
    marked: int

    @property
    def is_few(self) -> bool:
        return self.marked < FEW_IMAGES


@dataclass(frozen=True)
class GroupPlan:
    """What a share would mark. `outside`: images of no group; `ambiguous`: captions that name several groups."""

    groups: tuple[GroupCount, ...]
    outside: int
    ambiguous: int

    @property
    def marked(self) -> int:
        return sum(group.marked for group in self.groups)

    def without(self, left_out: Sequence[int]) -> "GroupPlan":
        """The same plan where so many images of each group cannot be marked."""
        pairs = zip(self.groups, left_out, strict=True)
        groups = tuple(replace(one, marked=min(one.marked, one.images - number)) for one, number in pairs)
        return replace(self, groups=groups)

    @property
    def images(self) -> int:
        return sum(group.images for group in self.groups) + self.outside + self.ambiguous

    @property
    def few(self) -> tuple[GroupCount, ...]:
        """Groups with fewer marked images than a test can count on."""
        return tuple(group for group in self.groups if group.is_few)

    @property
    def warning(self) -> str:
        """A sentence about groups with too few marked images, or nothing."""
        if not self.few:
            return ""
        # An audit needs clean images too, so a larger share helps only where it leaves as many.
        may_raise = min(group.images for group in self.few) >= 2 * FEW_IMAGES
        if len(self.groups) == 1:
            advice = "raise the share" if may_raise else "mark a larger version"
            return f"Fewer than {FEW_IMAGES} images would be marked. An audit would probably find nothing: {advice}."
        names = ", ".join(group.name for group in self.few[:8]) + (" and others" if len(self.few) > 8 else "")
        where = "every group" if len(self.few) == len(self.groups) else f"{len(self.few)} of {len(self.groups)} groups"
        return (
            f"Fewer than {FEW_IMAGES} images would be marked in {where} ({names}). "
            f"An audit would probably find nothing: {'raise the share, or ' * may_raise}choose larger groups."
        )


def plan_groups(entries: Iterable[EntryLike], group_by: str, groups: Sequence[str], share: float) -> GroupPlan:
    """Count, in one pass with flat memory, what each group would get marked.

    Args:
        entries: a manifest, or anything that yields its entries. share: fraction of each group to mark.
    """
    grouping = Grouping(group_by, groups)
    counts = [0] * len(groups)
    aside = {Grouping.NONE: 0, Grouping.AMBIGUOUS: 0}
    for entry in entries:
        group = grouping.group_of(entry)
        if group >= 0:
            counts[group] += 1
        else:
            aside[group] += 1
    return plan_from_counts(groups, counts, share, aside[Grouping.NONE], aside[Grouping.AMBIGUOUS])


def plan_from_counts(
    groups: Sequence[str], counts: Sequence[int], share: float, outside: int = 0, ambiguous: int = 0
) -> GroupPlan:
    """The same plan where the counts are known already (labels of a manifest's facts)."""
    rows = (GroupCount(name, count, number_marked(count, share)) for name, count in zip(groups, counts, strict=True))
    return GroupPlan(tuple(rows), outside, ambiguous)


def number_marked(images: int, share: float) -> int:
    """How many of a group's images a share marks: rounded down, at least one where there is an image."""
    return min(images, max(math.floor(images * share + 1e-9), 1)) if images else 0
