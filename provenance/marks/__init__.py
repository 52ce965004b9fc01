"""Marks: families, settings, and what a key decides about them. Importing this package does not import torch."""

from provenance.marks.errors import SettingsError
from provenance.marks.groups import GroupCount, Grouping, GroupPlan, plan_groups
from provenance.marks.overlay import BlendFamily, SpectralFamily
from provenance.marks.patch import PatchFamily
from provenance.marks.presets import PRESETS, Preset
from provenance.marks.reach import check_reach
from provenance.marks.registry import Family, families, family_for, get_family, register
from provenance.marks.restriction import Restriction, RestrictionError, blocks_by_size
from provenance.marks.secret import Candidate, MarkSecret, NotEnoughImagesError
from provenance.marks.sets import MarkSets, candidates_of_sets
from provenance.marks.settings import ALL_IMAGES, MarkSettings, plan_marks
from provenance.marks.warp import WarpFamily

for _family in (PatchFamily, BlendFamily, SpectralFamily, WarpFamily):
    register(_family)

__all__ = [
    "ALL_IMAGES",
    "PRESETS",
    "BlendFamily",
    "Candidate",
    "Family",
    "GroupCount",
    "GroupPlan",
    "Grouping",
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
    "WarpFamily",
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
