"""Numbers, times and names as a report writes them: sensible precision, no surprises in a line of text."""

import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from audits.report.facts import FactsError
from provenance.marks.versions import VERSIONS
from provenance.marks.withheld import WITHHELD
from provenance.wording import count

LEVEL_NAMES = {"features": "features", "soft": "soft labels", "hard": "hard labels"}
MOST_PAIRS = 12  # ruled-out pairs that are printed one by one
LONGEST_WORD = 28  # characters before a line may break inside a word

_DIGEST = re.compile(r"[0-9a-f]{16,64}\Z")
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"


def one_in(p: float) -> str:
    """ "1 case in 83,000": the odds that p allows chance, never better than p says."""
    cases = 1 / p
    if cases < 2:
        return f"{math.ceil(p * 100)} cases in 100"
    step = 10 ** max(math.floor(math.log10(cases)) - 1, 0)
    return f"1 case in {count(math.floor(cases / step * (1 + 1e-12)) * step)}"


def moment(text: str) -> datetime:
    """The time that an ISO text of the facts names. Raises FactsError where it names none."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise FactsError(f"“{text}” is no time in ISO 8601.") from error
    if parsed.tzinfo is None:
        raise FactsError(f"The time “{text}” names no time zone.")
    return parsed.astimezone(UTC)


def time_text(text: str) -> str:
    """A time for reading: "4 May 2026, 03:02:01 UTC"."""
    at = moment(text)
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC"


def short_time(text: str) -> str:
    """A time for tables: "2026-05-04 03:02:01"."""
    return f"{moment(text):%Y-%m-%d %H:%M:%S}"


def setting_rows(settings: Mapping[str, Any]) -> list[list[str]]:
    """Public mark settings as (name, value) rows in the order a reader asks for them."""
    names = {
        "family": "Family of the mark",
        "association": "Way of marking",
        "group_by": "Groups are formed by",
        "groups": "Groups",
        "share": "Share of each group marked",
        "side": "Side of the mark",
        "opacity": "Opacity",
        "cells": "Colour blocks per side",
        "amplitude": "Amplitude",
        "bend": "Farthest displacement",
        "periods": "Periods across the short edge",
        "finest": "Finest waves, as DCT coefficient",
        "size_classes": "Size classes of the groups",
        "forbidden": "Pairs ruled out",
        "copies": "Exact copies",
        "near_duplicates": "Near-duplicates",
        "kind": "Kind",
        "block_size": "Images or units in a block",
        "decibels": "PSNR between a version and its source",
    }
    # The digests of the files of clusters, near-duplicates and blocks stand among the digests.
    settings = {name: value for name, value in settings.items() if name not in ("clusters", "blocking")}
    if settings.get("kind") == WITHHELD:
        names["share"] = "Share of all images that stays home"
        settings = {**settings, "kind": "images that stay home; no pixel is changed"}
    if settings.get("kind") == VERSIONS:
        names["share"] = "Share of all images that come in one of two versions"
        settings = {**settings, "kind": "two faint versions of a picture, of which one stays home"}
    if settings.get("association") == "plain":
        names["share"] = "Share of all images marked"
        settings = {name: value for name, value in settings.items() if name not in ("group_by", "groups")}
    if len(classes := settings.get("size_classes", ())) == len(groups := settings.get("groups", ())) > 0:
        settings = {**settings, "size_classes": _classes_by_name(classes, groups)}
    order = [*names, *sorted(set(settings) - set(names))]
    return [
        [names.get(key, key.replace("_", " ").capitalize()), setting_text(key, settings[key])]
        for key in order
        if key in settings
    ]


def _classes_by_name(classes: Sequence[int], groups: Sequence[str]) -> str:
    pairs = list(zip(classes, groups, strict=True))
    members = [", ".join(name for kind, name in pairs if kind == one) for one in sorted(set(classes))]
    return f"{len(members)}; patterns are exchanged only within one ({'; '.join(members)})"


def setting_text(key: str, value: Any) -> str:
    match key, value:
        case "share", int() | float():
            return f"{value * 100:.3g} %"
        case "amplitude", int() | float():
            return f"{value:g} grey levels"
        case "decibels", int() | float():
            return f"{value:g} dB"
        case "side" | "bend", int() | float():
            return f"{value:.3g} of the image's short edge"
        case "association", "associated":
            return "associated (each pattern belongs to one group, by a secret assignment)"
        case "association", "plain":
            return "plain (one secret pattern on images of any kind)"
        case "group_by", "cluster":
            return "clusters of an encoder's features, kept in a file that the settings name by its digest"
        case "copies", "alike":
            return "files with the same bytes are chosen and marked as one picture"
        case "near_duplicates", str():
            return "images that have one are left out, by a file that the settings name by its digest"
        case "forbidden", list() | tuple() if len(value) > MOST_PAIRS:
            return f"{count(len(value))} pairs of a pattern and a group; the JSON form of this report lists them"
        case "forbidden", list() | tuple():
            pairs = ", ".join(f"{pattern + 1} with {group + 1}" for pattern, group in value)
            return f"{pairs} (pattern with group, counted from 1)"
        case "groups", list() | tuple() if len(value) > 1:
            return f"{len(value)}: " + ", ".join(str(part) for part in value)
        case _, bool():
            return "yes" if value else "no"
        case _, None:
            return "none"
        case _, float():
            return f"{value:g}"
        case _, list() | tuple():
            return ", ".join(setting_text("", part) for part in value)
        case _, Mapping():
            return "; ".join(f"{name} {setting_text('', part)}" for name, part in value.items())
        case _:
            return str(value)


def printable(text: str, undrawable: Collection[str] = ()) -> str:
    """Text that shows what it is: control, direction and undrawable characters as [U+202E], long words breakable.

    Nothing is lost: the JSON of the report holds every text as it was entered.
    """
    if _DIGEST.match(text):
        return text
    shown, run = [], 0
    for character in unicodedata.normalize("NFC", text):
        if character in undrawable or character in _BIDI or _unprintable(character):
            shown.append(f"[U+{ord(character):04X}]" if character not in "\n\t" else " ")
            run = 0
            continue
        run = 0 if character.isspace() else run + 1
        shown.append(character)
        if run >= LONGEST_WORD or (run > 16 and character in "/_-,;:"):
            shown.append("\u200b")
            run = 0
    return "".join(shown)


def _unprintable(character: str) -> bool:
    category = unicodedata.category(character)
    return category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
