"""The public settings of a mark: what is marked, how strongly, how much of it. Nothing secret is in here."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from provenance.canonical import canonical_json
from provenance.marks.captions import folded
from provenance.marks.errors import SettingsError
from provenance.marks.groups import EntryLike, Everything, Grouping, GroupPlan, plan_from_counts, plan_groups
from provenance.marks.registry import families, family_for, get_family
from provenance.marks.restriction import MOST_ENUMERATED, Restriction, RestrictionError

ASSOCIATIONS = ("associated", "plain")
GROUPINGS = ("class", "word", "cluster")
MIN_GROUPS = 4
MAX_GROUPS = 64
MIN_SIDE, MAX_SIDE = 1 / 8, 1 / 4
MIN_OPACITY, MAX_OPACITY = 0.3, 1.0
MIN_AMPLITUDE, MAX_AMPLITUDE = 2.0, 64.0
MIN_BEND, MAX_BEND = 0.01, 0.1
MAX_PERIODS = 64
MIN_FINEST, MAX_FINEST = 7, 9  # with fewer there would not be 64 patterns
ALL_IMAGES = "all images"
MANY_SPARES = "many"
COPIES_ALIKE = "alike"
DIGEST = re.compile(r"[0-9a-f]{64}")
MIN_PLAIN_CELLS = 4  # 4 x 4 blocks in four colours: 16! / 4!^4 = 6.3e7 patterns, far more than any test has decoys


@dataclass(frozen=True)
class MarkSettings:
    """Frozen, validated settings of one release's marks (docs/method.md, sections 2.3, 2.4 and 4.4).

    Options that the family does not use keep their defaults and stand in no JSON; neither do the last seven where they
    have theirs. Raises SettingsError from the constructor and from `from_json`.
    """

    groups: tuple[str, ...] = ()  # names, in the order in which the assignment counts them; none for plain marks
    family: str = "patch"  # or "blend", "spectral", "warp": a name in the registry
    # "associated": every group of images has its own pattern, and which one is the secret; "plain": one keyed pattern
    # on keyed random images, without groups.
    association: str = "associated"
    # The manifest's labels; or "word": captions that contain the word; or "cluster": clusters of an encoder's
    # features. Of no use in plain marks.
    group_by: str = "class"
    share: float = 0.1  # of each group's images that are marked, in (0, 1]; of all images for plain marks
    side: float = 0.25  # patch: as a fraction of the image's short edge, 1/8 to 1/4
    opacity: float = 0.6  # patch: 0.3 to 1; 1 covers what is beneath
    cells: int = 4  # patch: a grid of cells x cells colour blocks, 2 to 8; 4 to 8 for plain marks
    amplitude: float = 8.0  # blend and spectral: grey levels, 2 to 64
    bend: float = 0.04  # warp: farthest displacement as a fraction of the short edge, 0.01 to 0.1
    periods: int = 1  # blend, spectral and warp: how many periods of the pattern span the short edge, 1 to 64
    # spectral: highest DCT coefficient of each axis, 7 to 9, in half cycles to a period. Releases made before there was
    # a choice have 9.
    finest: int = MAX_FINEST
    clusters: str = ""  # SHA-256, in hex, of the file that says which cluster each image belongs to
    # Number of the size class of every group, in the order of `groups`; a pattern marks only groups of its own class.
    # Empty where all groups may exchange their patterns.
    size_classes: tuple[int, ...] = ()
    forbidden: tuple[tuple[int, int], ...] = ()  # (pattern, group), from 0, that the assignment never brings together
    # "many": up to three next draws step in for every image to be marked. Empty in releases made while a file that
    # could not be written like its source was written otherwise, so that few had to step in.
    spares: str = ""
    # "alike": the key chooses and marks files with the same bytes as one picture. Empty in versions without exact
    # copies, and in releases made before there was such a rule.
    copies: str = ""
    near_duplicates: str = ""  # SHA-256, in hex, of the file that says which images are left out for having one

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        for name in ("share", "side", "opacity", "amplitude", "bend"):
            object.__setattr__(self, name, number_setting(name, getattr(self, name)))
        self._check_names()
        self._check_unused()
        self._check_groups()
        if not 0 < self.share <= 1:
            raise SettingsError("The share of images to mark must lie above 0 and at most at 1.")
        if not MIN_SIDE <= self.side <= MAX_SIDE:
            raise SettingsError("The side of a patch must lie between 1/8 and 1/4 of the image's short edge.")
        if not MIN_OPACITY <= self.opacity <= MAX_OPACITY:
            raise SettingsError("The opacity must lie between 0.3 and 1.")
        if not MIN_AMPLITUDE <= self.amplitude <= MAX_AMPLITUDE:
            raise SettingsError("The amplitude must lie between 2 and 64 grey levels.")
        if not MIN_BEND <= self.bend <= MAX_BEND:
            raise SettingsError("The bend must lie between 0.01 and 0.1 of the image's short edge.")
        if not whole_setting(self.periods) or not 1 <= self.periods <= MAX_PERIODS:
            raise SettingsError(f"Between 1 and {MAX_PERIODS} periods may span the short edge of an image.")
        if not whole_setting(self.finest) or not MIN_FINEST <= self.finest <= MAX_FINEST:
            raise SettingsError(f"The finest waves are DCT coefficients {MIN_FINEST} to {MAX_FINEST}.")
        least = MIN_PLAIN_CELLS if self.is_plain else 2
        if not whole_setting(self.cells) or not least <= self.cells <= 8:
            raise SettingsError(f"A patch has between {least} and 8 colour blocks per side.")
        self._check_clusters()
        self._check_left_out()
        self._check_restriction()
        if self.spares not in ("", MANY_SPARES):
            raise SettingsError(f"Next draws are '{MANY_SPARES}', or the setting is left out.")

    @property
    def is_plain(self) -> bool:
        return self.association == "plain"

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the settings that this family uses beside the common ones."""
        options: tuple[str, ...] = get_family(self.family).options
        return options

    @property
    def least_edge(self) -> int:
        """Pixels of the short edge that this mark needs, in images and in the inputs of a model that is to see it."""
        return family_for(self).least_edge

    def grouping(self) -> Grouping | Everything:
        """Which group each image belongs to."""
        return Everything() if self.is_plain else Grouping(self.group_by, self.groups)

    @property
    def restriction(self) -> Restriction | None:
        """The assignments that are possible, where not all of them are."""
        if not self.size_classes and not self.forbidden:
            return None
        allowed = np.ones((len(self.groups), len(self.groups)), dtype=bool)
        for pattern, group in self.forbidden:
            allowed[pattern, group] = False
        return Restriction.within(self.size_classes or (0,) * len(self.groups), allowed if self.forbidden else None)

    @property
    def class_names(self) -> tuple[tuple[str, ...], ...]:
        """The groups of every size class, the class of the smallest groups first; none without size classes."""
        classes = sorted(set(self.size_classes))
        pairs = list(zip(self.size_classes, self.groups, strict=False))
        return tuple(tuple(name for number, name in pairs if number == one) for one in classes)

    @property
    def banned_names(self) -> tuple[tuple[int, str], ...]:
        """What is forbidden, for people: the pattern's number from 1 and the group's name."""
        return tuple((pattern + 1, self.groups[group]) for pattern, group in self.forbidden)

    def _check_clusters(self) -> None:
        by_cluster = self.group_by == "cluster" and not self.is_plain
        if by_cluster and not (isinstance(self.clusters, str) and DIGEST.fullmatch(self.clusters)):
            raise SettingsError("Name the clusters that group the images by the digest of their file.")
        if self.clusters and not by_cluster:
            raise SettingsError("Only groups that are clusters have a file of clusters; leave it out.")

    def _check_left_out(self) -> None:
        if self.copies not in ("", COPIES_ALIKE):
            raise SettingsError(f"Exact copies are marked '{COPIES_ALIKE}', or the setting is left out.")
        named = self.near_duplicates
        if named != "" and not (isinstance(named, str) and DIGEST.fullmatch(named)):
            raise SettingsError("Name the near-duplicates that are left out by the digest of their file.")

    def _check_restriction(self) -> None:
        groups = len(self.groups)
        try:
            object.__setattr__(self, "size_classes", tuple(self.size_classes))
            object.__setattr__(self, "forbidden", tuple(sorted({(pair[0], pair[1]) for pair in self.forbidden})))
        except (TypeError, IndexError) as error:
            raise SettingsError("Size classes are a list, and what is forbidden a list of pairs.") from error
        if not all(map(whole_setting, self.size_classes)) or len(self.size_classes) not in (0, groups):
            raise SettingsError("Give every group the number of its size class, or none at all.")
        if not all(whole_setting(number) and 0 <= number < groups for pair in self.forbidden for number in pair):
            raise SettingsError("What is forbidden names a pattern and a group, each counted from 0.")
        try:
            restriction = self.restriction
            if restriction is not None and self.forbidden:
                restriction.draw(1, np.random.default_rng(0))  # refuses what could hardly ever be drawn
        except RestrictionError as error:
            raise SettingsError(error.sentence) from error

    def _check_unused(self) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        for name in OPTION_NAMES:
            if name not in self.options and getattr(self, name) != defaults[name]:
                raise SettingsError(f"The family '{self.family}' has no {name}; leave it out.")

    def _check_names(self) -> None:
        if self.family not in families():
            raise SettingsError(f"There is no mark family '{self.family}'. Choose one of: {', '.join(families())}.")
        if self.association not in ASSOCIATIONS:
            raise SettingsError(f"Marks can be {' or '.join(ASSOCIATIONS)}, not '{self.association}'.")
        if self.group_by not in GROUPINGS:
            raise SettingsError(f"Images can be grouped by {' or '.join(GROUPINGS)}, not by '{self.group_by}'.")

    def _check_groups(self) -> None:
        names = self.groups
        if self.is_plain:
            if names:
                raise SettingsError("Plain marks have no groups: leave the list of groups empty.")
            return
        if not all(isinstance(name, str) and name.strip() == name and name for name in names):
            raise SettingsError("The name of a group is text without spaces around it.")
        seen = [folded(name) if self.group_by == "word" else name for name in names]
        if len(set(seen)) != len(names):
            raise SettingsError("Each group may be named only once.")
        if len(names) < MIN_GROUPS:
            raise SettingsError(f"Name at least {MIN_GROUPS} groups: with fewer no test could reach a p below 0.05.")
        if len(names) > MAX_GROUPS:
            raise SettingsError(f"At most {MAX_GROUPS} groups can be told apart by their patterns.")

    @property
    def smallest_p(self) -> float:
        """The smallest p that a test of this secret could reach: one over the number of possible assignments.

        0 for plain marks, where the number of decoys decides. An upper bound where too many are possible to count.
        """
        if self.is_plain:
            return 0.0
        restriction = self.restriction
        return (
            1 / math.factorial(len(self.groups))
            if restriction is None
            else 1 / (restriction.possible() or MOST_ENUMERATED)
        )

    def replace(self, **changes: Any) -> "MarkSettings":
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """A JSON object; equal settings give equal objects."""
        used = {name: value for name, value in asdict(self).items() if name not in OPTION_NAMES or name in self.options}
        listed = {"size_classes": list(self.size_classes), "forbidden": [list(pair) for pair in self.forbidden]}
        whole = {**used, "groups": list(self.groups), **listed}
        return {name: value for name, value in whole.items() if not self._says_nothing(name, value)}

    @staticmethod
    def _says_nothing(name: str, value: Any) -> bool:
        return name in SCARCE_NAMES and (not value or (name == "finest" and value == MAX_FINEST))

    def to_json(self) -> str:
        """Canonical JSON, as it enters the commitment."""
        return canonical_json(self.to_dict()).decode("utf-8")

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> "MarkSettings":
        source = settings_object(source)
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(source) - known):
            raise SettingsError(f"Unknown mark setting: {', '.join(map(str, unknown))}.")
        groups = source.get("groups")
        if not isinstance(groups, list | tuple):
            raise SettingsError("The mark settings must list their groups.")
        return cls(**{**source, "groups": tuple(groups)})


def settings_object(source: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON object of mark settings, parsed where it is text. Raises SettingsError for anything else."""
    if isinstance(source, str | bytes):
        try:
            source = json.loads(source)
        except ValueError as error:
            raise SettingsError("The mark settings are not valid JSON.") from error
    if not isinstance(source, Mapping):
        raise SettingsError("The mark settings must be a JSON object.")
    return source


def plan_marks(entries: Iterable[EntryLike], settings: MarkSettings) -> GroupPlan:
    """What these settings would mark in a manifest: groups with their counts; plain marks have one, of all images."""
    if settings.is_plain:
        return plan_from_counts((ALL_IMAGES,), [sum(1 for _ in entries)], settings.share)
    return plan_groups(entries, settings.group_by, settings.groups, settings.share)


OPTION_NAMES = ("side", "opacity", "cells", "amplitude", "bend", "periods", "finest")
SCARCE_NAMES = (  # in the JSON only where they say something
    "finest",
    "clusters",
    "size_classes",
    "forbidden",
    "spares",
    "copies",
    "near_duplicates",
)


def whole_setting(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number_setting(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f"The setting '{name}' must be a number.")
    return float(value)
