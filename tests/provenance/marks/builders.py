"""What marks read of a manifest entry, without a manifest."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    path: str
    sha256: str
    label: str | None = None
    caption: str | None = None


def captioned(caption: str | None) -> Entry:
    return Entry("p", "s", caption=caption)
