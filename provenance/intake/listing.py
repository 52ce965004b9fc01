"""Listing a folder's files, sorted, in a file of their own, cut into blocks."""

import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .blocks import FILES, Refusal
from .errors import IntakeError, Refused
from .labels import LabelFile
from .paths import DEPTH, JUNK_FILES, JUNK_FOLDERS, PATH_BYTES, safe_path, shown
from .pool import Span
from .sorting import ExternalSort

# Names that need no further look: no leading dot, nothing to normalise, no junk.
_JUNK = b"|".join(re.escape(name).encode() for name in sorted(JUNK_FOLDERS | JUNK_FILES))
_PLAIN = re.compile(rb"(?!(?:" + _JUNK + rb")\Z)[A-Za-z0-9_\-][A-Za-z0-9_\-.]{0,200}\Z").match
_SLASH = ord("/")


@dataclass(frozen=True)
class Listing:
    """The listing in ``path``: one file per line, ascending by path; ``spans`` are its blocks."""

    path: Path
    files: int
    spans: list[Span]

    @property
    def refused(self) -> Iterator[Refusal]:
        with self.path.with_suffix(".refused").open("rb") as file:
            for line in file:
                where, reason, outcome = json.loads(line)
                yield where, reason, outcome

    def paths(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for line in file:
                yield line[:-1].partition(b"\0")[0]


def list_folder(
    root: Path,
    target: Path,
    *,
    labels: LabelFile | None = None,
    leave_out: frozenset[str] = frozenset(),
    tick: Callable[[int], None] = lambda _: None,
) -> Listing:
    """List the files below ``root`` into ``target``; once it is whole it is not made again.

    ``tick`` gets the number of files so far, folder by folder, and may raise to stop.
    """
    done = target.with_suffix(".json")
    if not done.exists():
        with target.open("wb") as lines, target.with_suffix(".refused").open("wb") as refused:
            walk = _Walk(lines, refused, target.parent, labels, leave_out, tick)
            try:
                walk.folder(os.fsencode(root), b"", 0)
            except FileNotFoundError as error:
                raise IntakeError("The folder is not there any more.") from error
            if labels is not None:
                for refusal in labels.finish():
                    walk.write_refusal(refusal)
            walk.close_block()
        draft = done.with_suffix(".draft")
        draft.write_text(json.dumps({"files": walk.files, "spans": walk.spans}))
        draft.replace(done)
    facts = json.loads(done.read_bytes())
    return Listing(target, facts["files"], [(number, start, end) for number, start, end in facts["spans"]])


class _Walk:
    def __init__(
        self,
        lines: BinaryIO,
        refused: BinaryIO,
        scratch: Path,
        labels: LabelFile | None,
        leave_out: frozenset[str],
        tick: Callable[[int], None],
    ) -> None:
        self._lines = lines
        self._refused = refused
        self._scratch = scratch
        self._labels = labels
        self._leave_out = {path.encode() for path in leave_out}
        self._tick = tick
        self.files = 0
        self.spans: list[Span] = []
        self._start = self._end = self._in_block = 0

    def folder(self, folder: bytes, prefix: bytes, depth: int) -> None:
        """List ``folder``, whose paths begin with ``prefix``."""
        # A folder sorts as its name with the slash that follows in its files' paths: so paths come out in byte order.
        with ExternalSort(self._scratch) as names:
            try:
                self._scan(folder, prefix, depth, names)
            except OSError as error:
                if depth == 0 or error.errno not in (errno.EACCES, errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
                    raise
                reason = "no permission to read this folder" if error.errno == errno.EACCES else "it disappeared"
                self._refuse(prefix, Refused(reason))
            self._write_all(folder, prefix, depth, names)
        self._tick(self.files + self._in_block)

    def _scan(self, folder: bytes, prefix: bytes, depth: int, names: ExternalSort) -> None:
        plain_prefix = len(prefix) < PATH_BYTES - 255 and depth < DEPTH - 1
        found: list[bytes] = []
        add, plain = found.append, _PLAIN
        with os.scandir(folder) as items:
            for item in items:
                name = item.name
                try:
                    if not (plain_prefix and plain(name)):
                        _check(prefix + name)
                    if item.is_file(follow_symlinks=False):
                        add(name)
                    elif item.is_dir(follow_symlinks=False):
                        add(name + b"/")
                    elif item.is_symlink():
                        raise Refused("a link")
                    else:
                        raise Refused("neither file nor folder (a device, pipe or socket)")
                except Refused as refusal:
                    self._refuse(prefix + name, refusal)
                if len(found) == FILES:
                    names.extend(found)
                    found.clear()
        names.extend(found)

    def _write_all(self, folder: bytes, prefix: bytes, depth: int, names: Iterable[bytes]) -> None:
        """Write the sorted ``names`` of one folder, going into its folders where they stand."""
        lines: list[bytes] = []
        room = FILES - self._in_block
        for name in names:
            if name[-1] == _SLASH:
                self._write_lines(lines)
                self.folder(folder + b"/" + name[:-1], prefix + name, depth + 1)
                room = FILES - self._in_block
                continue
            lines.append(prefix + name)
            if len(lines) == room:
                self._write_lines(lines)
                room = FILES
        self._write_lines(lines)

    def _write_lines(self, lines: list[bytes]) -> None:
        """Write up to a block's worth of paths, and empty the list."""
        if self._leave_out:
            lines[:] = [path for path in lines if path not in self._leave_out]
        if self._labels is not None:
            lines[:] = [path + b"\0" + self._labels.extra_of(path.decode()) for path in lines]
        if lines:
            text = b"\n".join(lines) + b"\n"
            self._lines.write(text)
            self._end += len(text)
            self._in_block += len(lines)
            lines.clear()
            if self._in_block >= FILES:
                self.close_block()

    def close_block(self) -> None:
        if self._in_block:
            self.spans.append((len(self.spans), self._start, self._end))
            self.files += self._in_block
        self._start, self._in_block = self._end, 0

    def _refuse(self, path: bytes, refusal: Refused) -> None:
        self.write_refusal((shown(path), refusal.reason, refusal.outcome))

    def write_refusal(self, refusal: Refusal) -> None:
        self._refused.write(json.dumps(refusal).encode() + b"\n")


def _check(raw: bytes) -> None:
    path = raw.decode("utf-8", "surrogateescape")
    if safe_path(path) != path:
        raise Refused("its name is not in Unicode's composed form (NFC); rename it, or upload the files in an archive")
