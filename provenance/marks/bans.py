"""Bans as people write them: which pattern must never mark which group, one a line, as in "2: dog"."""

import re
from collections.abc import Iterable, Sequence

from provenance.marks.errors import SettingsError

_LINE = re.compile(r"\s*(\d{1,4})\s*:\s*(.+?)\s*")


def read_bans(lines: Iterable[str], groups: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """(pattern, group) pairs counted from 0, from lines that count patterns from 1 and name groups.

    Raises SettingsError that quotes the line which cannot be read.
    """
    return tuple(_read_ban(line, groups) for line in lines if line.strip())


def _read_ban(line: str, groups: Sequence[str]) -> tuple[int, int]:
    found = _LINE.fullmatch(line)
    if not found:
        raise SettingsError(
            f"A ban is a pattern's number, a colon and a group's name, as in “2: dog”. “{line.strip()[:80]}” is not."
        )
    pattern, name = int(found[1]), " ".join(found[2].split())
    if not 1 <= pattern <= len(groups):
        raise SettingsError(f"There are as many patterns as groups: they count from 1 to {len(groups)}, not {pattern}.")
    if name not in groups:
        raise SettingsError(f"None of the groups that are marked is called “{name[:80]}”.")
    return pattern - 1, groups.index(name)
