"""How numbers, times and states are put into words: one way, for pages, commands and reports alike. Pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

STATE_TONES = {
    "good": (
        "done",
        "ready",
        "embedded",
        "issued",
        "accepted",
        "alive",
        "intact",
        "pass",
        "no issues",
        "locked",
        "active",
        "finished",
    ),
    "busy": ("running", "arriving", "embedding", "reading", "evidence", "being read", "being marked", "being written"),
    "warn": (
        "inconclusive",
        "exploratory: small p",
        "silent",
        "cancel requested",
        "warning",
        "needs attention",
        "away",
    ),
    "bad": ("failed", "refused", "broken", "altered", "fail", "lost"),
}
STATE_ICONS = {
    "evidence": "check",
    "no evidence": "dot",
    "exploratory: no small p": "dot",
    "queued": "clock",
    "waiting": "clock",
    "cancelled": "stop",
    "dropped": "stop",
    "locked": "lock",
    "committed": "lock",
    "drawn": "key",
    "disclosed": "key",
    "draft": "dot",
    "away": "clock",
    "next": "arrow",
}
_UNITS = (("year", 31_557_600), ("month", 2_629_800), ("day", 86400), ("hour", 3600), ("minute", 60))
_ACRONYMS = {"pdf": "PDF", "json": "JSON", "sha256": "SHA-256", "id": "ID", "csv": "CSV"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def file_size(value: int | None) -> str:
    """Bytes in the largest binary unit that leaves a number of at least 1."""
    if value is None:
        return "–"
    size, units = float(value), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    if abs(size) < 1024:
        return "1 byte" if value == 1 else f"{int(value)} bytes"
    while abs(size) >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f} {units[0]}"


def count(value: int | None) -> str:
    return "–" if value is None else f"{int(value):,}"


def counted(value: int, noun: str) -> str:
    """ "1 file", "2,000 files": for nouns whose plural takes an s."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def exact_size(value: int) -> str:
    """A size for reading with the exact count behind: "23.8 MiB (24,917,203 bytes)"."""
    return file_size(value) if value < 1024 else f"{file_size(value)} ({count(value)} bytes)"


def part_of(part: int, whole: int, noun: str, verb: str) -> str:
    """The beginning of a sentence, "None of the 600 captions has"; verb: its singular and plural, "has,have"."""
    one, many = verb.split(",")
    if part == whole and part:
        return f"All {count(whole)} {noun} {many}"
    return f"{count(part) if part else 'None'} of the {count(whole)} {noun} {many if part > 1 else one}"


def percent(value: float | None) -> str:
    if value is None:
        return "–"
    share = 100 * float(value)
    return f"{share:.0f} %" if share == round(share) else f"{share:.1f} %"


def rate(value: float) -> str:
    """A rate of errors in per cent with two places, so that one in a hundred can be told from its neighbours."""
    return f"{100 * value:.2f} %"


def rates(low: float, high: float) -> str:
    """An interval of such rates, to stand in brackets behind one."""
    return f"{100 * low:.2f}–{100 * high:.2f}"


def significant(value: float | None) -> str:
    """A measured number with three significant digits and a true minus sign; a power of ten where it is far from 1."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        text = f"{float(value):,.{max(2 - exponent, 0)}f}"
    else:
        text = _power_of_ten(float(value), 3)
    return text.replace("-", "−", 1) if value < 0 else text


def p_value(value: float | None, alpha: float | None = None) -> str:
    """A p-value with two significant digits: 0.042, or 2.8 × 10⁻⁷ below one in a thousand.

    More digits where rounding would carry it across alpha.
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    for digits in range(2, 16):
        shown = float(f"{value:.{digits - 1}e}")
        if alpha is None or (shown < alpha, shown > alpha) == (value < alpha, value > alpha):
            break
    if shown < 0.001:
        return _power_of_ten(shown, digits)
    places = max(digits - 1 - math.floor(math.log10(shown)), 2)
    return f"{shown:.{min(places, 15)}f}".rstrip("0").ljust(4, "0") if shown < 1 else "1.00"


def _power_of_ten(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def duration(value: float | timedelta | None) -> str:
    """At most two units: "3 min 20 s"; tenths below a second, "under 0.1 s" where even those say nothing."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0.05:
        return "under 0.1 s"
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def relative(value: datetime, now: datetime) -> str:
    """ "3 minutes ago", "in 2 days": one unit, rounded down."""
    seconds = (now - value).total_seconds()
    amount = abs(seconds)
    if amount < 5:
        return "just now"
    unit, size = next(((unit, size) for unit, size in _UNITS if amount >= size), ("second", 1))
    whole = int(amount // size)
    phrase = f"{whole} {unit}{'' if whole == 1 else 's'}"
    return f"{phrase} ago" if seconds > 0 else f"in {phrase}"


def state_tone(state: str) -> str:
    """The tone of a known state: good, busy, warn, bad, or "" for a quiet one."""
    word = state.replace("_", " ").lower()
    return next((tone for tone, states in STATE_TONES.items() if word in states), "")


def structure_sentence(found: Mapping[str, Any]) -> str:
    """What an inspection says of a copy; `found` as it was kept: outcome, AUC and its limits."""
    auc = f"AUC {found['auc']:.2f} ({found['low']:.2f}–{found['high']:.2f})"
    if found["outcome"] == "alike":
        return f"Files cannot be told apart by structure: {auc}."
    if found["outcome"] == "apart":
        return f"Marked files can be told apart by structure: {auc}."
    return (
        f"Files could not be told apart by structure: {auc}; "
        f"so few files leave open whether somebody could, up to an AUC of {found['high']:.2f}."
    )


def verdict(holds: bool | None) -> str:
    """What a calibration says of the tests' error rate, in the words of every page, command and report."""
    return {True: "holds", False: "does not hold", None: "too few pairs to tell"}[holds]


def words(name: str) -> str:
    """ "manifest_root" as people read it: "Manifest root"."""
    spaced = " ".join(_ACRONYMS.get(word, word) for word in name.replace("_", " ").split(" "))
    return spaced[:1].upper() + spaced[1:]


def verb_tone(verb: str) -> str:
    """The tone of an act in a timeline, by how it ended."""
    done = verb.rpartition(".")[2]
    if done in ("failed", "altered", "refused"):
        return "bad"
    if done in ("dropped", "cancelled", "removed", "disclosed"):
        return "warn"
    return "good" if done in ("ready", "embedded", "finished", "issued") else ""
