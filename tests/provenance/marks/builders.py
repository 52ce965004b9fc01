"""What marks read of a manifest entry, without a manifest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    path: str
    sha256: str
    label: str | None = None
    caption: str | None = None


def captioned(caption: str | None) -> Entry:
    return Entry("p", "s", caption=caption)


class Listed(list[Entry]):
    """Entries in the place of a manifest that lies in `folder`."""

    def __init__(self, entries: Iterable[Entry], folder: Path = Path()) -> None:
        super().__init__(entries)
        self.folder = folder

    def entry(self, index: int) -> Entry:
        return self[index]
