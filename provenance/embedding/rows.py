"""A CSV of labels and captions without the rows of some images, every other byte of it as it was.

Rows are told apart as the intake tells them (`provenance.intake.labels`): UTF-8 with or without a byte order mark,
fields between commas, semicolons or tabs, quoted or not.
"""

import codecs
import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TextIO

from provenance.embedding.errors import EmbeddingError
from provenance.intake.errors import Refused
from provenance.intake.labels import delimiter_of
from provenance.intake.paths import safe_path

_BETWEEN_FIELDS = re.compile(r'[\r\n",;\t]+')


class _Read:
    """Lines of a file, remembering those that were taken since `taken` was called."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lines: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self._lines.append(line)
            yield line

    def taken(self) -> str:
        text = "".join(self._lines)
        self._lines.clear()
        return text


def rows_without(source: Path, left_out: Collection[str]) -> Iterator[bytes]:
    """The file's bytes, row by row, but for the rows of the images with these paths.

    Raises: EmbeddingError, which names no image and no row, where a row that cannot be read as the intake reads it
    speaks of one of them; OSError.
    """
    with source.open("rb") as raw:
        if raw.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            yield codecs.BOM_UTF8
    with source.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        delimiter = delimiter_of(file)
        lines = _Read(file)
        rows = csv.reader(lines, delimiter=delimiter)
        columns = [column.strip().lower() for column in next(rows, [])]
        yield _bytes(lines.taken())
        for row in _rows(rows):
            text = lines.taken()
            if _path_of(columns, row) not in left_out:
                if _is_doubtful(columns, row, text) and _names_one(text, left_out):
                    raise _unreadable()
                yield _bytes(text)
        yield _bytes(lines.taken())


def _rows(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise _unreadable() from error


def _path_of(columns: list[str], row: list[str]) -> str:
    """The path that a row is about, as the manifest writes it; nothing where it has none."""
    if len(row) != len(columns) or "path" not in columns:
        return ""
    try:
        return safe_path(row[columns.index("path")].strip())
    except Refused:
        return ""


def _is_doubtful(columns: list[str], row: list[str], text: str) -> bool:
    """Whether a row may hold what another one was meant to: a quote too many swallows the lines behind it."""
    return len(row) != len(columns) or not _path_of(columns, row) or len(text.splitlines()) > 1


def _names_one(text: str, paths: Collection[str]) -> bool:
    return any(_safe(part) in paths for part in _BETWEEN_FIELDS.split(text))


def _safe(part: str) -> str:
    try:
        return safe_path(part.strip())
    except Refused:
        return ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _unreadable() -> EmbeddingError:
    """Without the row: it would tell what stays home."""
    return EmbeddingError(
        "The CSV with labels and captions has rows that cannot be read, and one of them speaks of an image that stays "
        "home, so its caption would leave the house. The version's page lists the rows that were not taken and why: "
        "correct them, and register the dataset as a new version."
    )
