"""Marks: families, settings, and what a key decides about them. Importing this package does not import torch."""

from provenance.marks.groups import GroupCount, Grouping, GroupPlan, plan_groups
from provenance.marks.patch import PatchFamily
from provenance.marks.registry import Family, families, family_for, get_family, register
from provenance.marks.secret import Candidate, MarkSecret, NotEnoughImagesError
from provenance.marks.settings import PRESETS, MarkSettings, Preset, SettingsError

register(PatchFamily)

__all__ = [
    "PRESETS",
    "Candidate",
    "Family",
    "GroupCount",
    "GroupPlan",
    "Grouping",
    "MarkSecret",
    "MarkSettings",
    "NotEnoughImagesError",
    "PatchFamily",
    "Preset",
    "SettingsError",
    "families",
    "family_for",
    "get_family",
    "plan_groups",
    "register",
]
