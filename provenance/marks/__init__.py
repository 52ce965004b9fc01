"""Marks: families, settings, and what a key decides about them. Importing this package does not import torch."""

from provenance.marks.blocking_file import BlockingFileError, ImageBlocks
from provenance.marks.errors import SettingsError
from provenance.marks.groups import GroupCount, Grouping, GroupPlan, plan_groups
from provenance.marks.keyed_choice import KeyedChoice
from provenance.marks.overlay import BlendFamily, SpectralFamily
from provenance.marks.patch import PatchFamily
from provenance.marks.presets import PRESETS, Preset
from provenance.marks.reach import check_reach
from provenance.marks.registry import Family, families, family_for, get_family, register
from provenance.marks.restriction import Restriction, RestrictionError, blocks_by_size
from provenance.marks.secret import Candidate, MarkSecret, NotEnoughImagesError
from provenance.marks.sets import MarkSets, candidates_of_sets
from provenance.marks.settings import ALL_IMAGES, MarkSettings, plan_marks
from provenance.marks.versions import VersionSecret, VersionsSettings
from provenance.marks.warp import WarpFamily
from provenance.marks.withheld import WithheldSettings

for _family in (PatchFamily, BlendFamily, SpectralFamily, WarpFamily):
    register(_family)

__all__ = [
    "ALL_IMAGES",
    "PRESETS",
    "BlendFamily",
    "BlockingFileError",
    "Candidate",
    "Family",
    "GroupCount",
    "GroupPlan",
    "Grouping",
    "ImageBlocks",
    "KeyedChoice",
    "MarkSecret",
    "MarkSets",
    "MarkSettings",
    "NotEnoughImagesError",
    "PatchFamily",
    "Preset",
    "Restriction",
    "RestrictionError",
    "SettingsError",
    "SpectralFamily",
    "VersionSecret",
    "VersionsSettings",
    "WarpFamily",
    "WithheldSettings",
    "blocks_by_size",
    "candidates_of_sets",
    "check_reach",
    "families",
    "family_for",
    "get_family",
    "plan_groups",
    "plan_marks",
    "register",
]
