"""Labels for files: none, the first or the last folder of each path, or a CSV of ``path,label[,caption]``."""

import csv
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from .blocks import Refusal
from .errors import LabelsError, Refused
from .paths import safe_path, shown
from .sorting import ExternalSort

LABEL_CHARACTERS = 200
CAPTION_CHARACTERS = 5000

_COLUMNS = "A file of labels needs a first line that names its columns: path, and label or caption or both."


@dataclass(frozen=True)
class Labels:
    """Where labels come from. ``csv`` is the path of a CSV file *inside* the source; ``file`` one beside it."""

    kind: Literal["none", "folder", "last_folder", "csv"] = "none"
    csv: str = ""
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.kind == "csv" and not self.csv and self.file is None:
            raise LabelsError("Name the CSV file that holds the labels.")


class LabelFile:
    """The lines of a CSV, sorted by path, to be joined with a sorted listing. Memory stays flat."""

    def __init__(self, path: Path, scratch: Path, name: str = "labels.csv") -> None:
        self._name = name
        self._lines = ExternalSort(scratch)
        self._problems = ExternalSort(scratch)
        try:
            with path.open("r", encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                self._read(file)
        except OSError as error:
            raise LabelsError(f"The file of labels cannot be read: {error.strerror}.") from error
        except csv.Error as error:
            raise LabelsError(f"The file of labels is not a CSV: {error}.") from error
        self._sorted = iter(self._lines)
        self._next = self._take()
        self._last = ""

    def _read(self, file: TextIO) -> None:
        rows = csv.reader(file, delimiter=delimiter_of(file))
        columns = [column.strip().lower() for column in next(rows, [])]
        if "path" not in columns or not {"label", "caption"} & set(columns) or len(set(columns)) != len(columns):
            raise LabelsError(_COLUMNS)
        for row in rows:
            if not any(field.strip() for field in row):
                continue
            try:
                self._lines.add(self._line(columns, row, rows.line_num))
            except Refused as refusal:
                self._problem(rows.line_num, refusal.reason)

    def _line(self, columns: list[str], row: list[str], number: int) -> bytes:
        if len(row) != len(columns):
            raise Refused(f"{len(row)} fields where the first line names {len(columns)}")
        fields = dict(zip(columns, row, strict=True))
        try:
            path = safe_path(fields["path"].strip())
        except Refused as refusal:
            raise Refused(f"no usable path: {refusal.reason}") from None
        label = _text(fields.get("label", ""), "label", LABEL_CHARACTERS)
        caption = _text(fields.get("caption", ""), "caption", CAPTION_CHARACTERS)
        if label is None and caption is None:
            raise Refused("neither label nor caption")
        return b"\0".join((path.encode(), b"%012d" % number, json.dumps([label, caption]).encode()))

    def _problem(self, number: int, reason: str) -> None:
        self._problems.add(json.dumps([f"{self._name} line {number:06d}", reason]).encode())

    def _take(self) -> tuple[str, int, bytes] | None:
        record = next(self._sorted, None)
        if record is None:
            return None
        path, number, extra = record.split(b"\0")
        return path.decode(), int(number), extra

    def extra_of(self, path: str) -> bytes:
        """JSON of [label, caption] for ``path``, or nothing. Ask in ascending order of the paths' bytes."""
        wanted, found = path.encode(), b""
        while self._next and self._next[0].encode() <= wanted:
            named, number, extra = self._next
            if named == self._last:
                self._problem(number, f"{shown(named)} is named a second time; the first line counts")
            elif named == path:
                found = extra
            else:
                self._problem(number, f"the dataset has no file {shown(named)}")
            self._last = named
            self._next = self._take()
        return found

    def finish(self) -> Iterator[Refusal]:
        """All problems, once every path was asked for."""
        while self._next:
            self.extra_of(self._next[0] + "\U0010ffff")
        for problem in self._problems:
            where, reason = json.loads(problem)
            yield where, reason, "label"
        self._lines.close()
        self._problems.close()


def delimiter_of(file: TextIO) -> str:
    """What stands between the fields of a CSV, by its first line; the file is then at its start again.

    Raises LabelsError where it is no text.
    """
    head = file.read(4096)
    if "\0" in head:
        raise LabelsError("The file of labels is not UTF-8 text. Save it as CSV in UTF-8.")
    first = head.split("\n", 1)[0]
    file.seek(0)
    return max(",;\t", key=first.count)


def _text(field: str, what: str, limit: int) -> str | None:
    text = unicodedata.normalize("NFC", field.strip())
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise Refused(f"its {what} is not valid UTF-8")
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        raise Refused(f"control character in its {what}")
    if len(text) > limit:
        raise Refused(f"its {what} is longer than {limit} characters")
    return text or None
