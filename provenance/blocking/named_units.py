"""Units that people name: by a column of the CSV of labels, or by folders. As digests, 0 for images without one."""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance.blocking.rule import BlockingError
from provenance.intake.errors import LabelsError, Refused
from provenance.intake.labels import delimiter_of
from provenance.intake.paths import safe_path
from provenance.intake.sorting import ExternalSort

NO_UNIT = 0

Digests = NDArray[np.uint64]


def units_of_folders(paths: Iterable[str], level: int) -> Digests:
    """(n,) of every path its first `level` folders; none for images that lie above them."""
    folders = ("/".join(parts[:level]) if len(parts := path.split("/")) > level else "" for path in paths)
    return np.fromiter(map(_digest, folders), dtype=np.uint64)


def units_of_column(labels: Path, column: str, paths: Iterable[str], scratch: Path) -> Digests:
    """(n,) of every path what the CSV says in this column; none for images of which it says nothing.

    paths: ascending by their bytes, as in a manifest. scratch: a folder for sorting. Memory does not grow with the
    file. Raises BlockingError where there is no such column.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with ExternalSort(scratch) as lines:
        try:
            for path, unit in _rows(labels, column):
                lines.add(path.encode() + b"\0" + str(_digest(unit)).encode())
        except (OSError, csv.Error, LabelsError) as error:
            raise BlockingError("The CSV of labels of this version cannot be read.", str(error)) from error
        return np.fromiter(_joined(iter(lines), paths), dtype=np.uint64)


def _rows(labels: Path, column: str) -> Iterator[tuple[str, str]]:
    with labels.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter_of(file))
        columns = [name.strip().lower() for name in next(rows, [])]
        if column not in columns:
            others = ", ".join(name for name in columns if name not in ("path", "label", "caption"))
            raise BlockingError(f"The CSV of labels has no column “{column}”. Further columns: {others or 'none'}.")
        path, unit = columns.index("path"), columns.index(column)
        for row in rows:
            if len(row) == len(columns):
                try:
                    yield safe_path(row[path].strip()), row[unit].strip()
                except Refused:
                    continue


def _joined(lines: Iterator[bytes], paths: Iterable[str]) -> Iterator[int]:
    """The unit of every path; the first line that names it in the sorted order counts."""
    line = next(lines, None)
    for path in paths:
        wanted, found = path.encode(), NO_UNIT
        while line is not None and line.split(b"\0")[0] <= wanted:
            named, digest = line.split(b"\0")
            if named == wanted and not found:
                found = int(digest)
            line = next(lines, None)
        yield found


def _digest(name: str) -> int:
    if not name:
        return NO_UNIT
    data = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return max(int.from_bytes(data, "little"), 1)
