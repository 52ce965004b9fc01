"""Unpacking an archive's images into a folder of their own, going on where a killed run stopped.

Every file is written once, read-only, and only below the folder given. Its time stamp carries the member's number,
which tells a duplicate name (an earlier number) from what a killed run left behind (the same number, or the present).
"""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provenance.errors import DISK_FULL, is_disk_full

from .archives import ArchiveReader, Member
from .blocks import Refusal
from .errors import IntakeError, Refused

_SAVE_EVERY = 1000  # members
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SECOND = 10**9


class Extraction:
    """Unpacks ``reader`` into ``files``; keeps its state in ``scratch``."""

    def __init__(self, reader: ArchiveReader, files: Path, scratch: Path, keep: dict[str, Path]) -> None:
        self._reader = reader
        self._files = files
        self._journal = scratch / "extraction.json"
        self._refusals = scratch / "extraction.refused"
        self._keep = keep

    def run(self, tick: Callable[[int, int], None]) -> None:
        """Unpack everything; ``tick`` gets the reader's position, and may raise to stop."""
        state = self._state()
        if state["done"]:
            return
        self._files.mkdir(parents=True, exist_ok=True)
        with self._refusals.open("ab") as refusals, _Tree(self._files) as tree:
            refusals.truncate(state["refused"])
            refusals.seek(0, os.SEEK_END)
            members = self._reader.members(state["cursor"], frozenset(self._keep))
            for count, member in enumerate(members, 1):
                try:
                    self._store(member, tree)
                except Refused as refusal:
                    line = json.dumps((member.name, refusal.reason, refusal.outcome))
                    refusals.write(line.encode() + b"\n")
                if count % _SAVE_EVERY == 0:
                    refusals.flush()
                    self._save({"cursor": member.cursor, "refused": refusals.tell(), "done": False})
                    tick(*self._reader.position())
            refusals.flush()
            self._save({"cursor": None, "refused": refusals.tell(), "done": True})

    def refused(self) -> Iterator[Refusal]:
        """Members that were not unpacked, in the archive's order."""
        with self._refusals.open("rb") as file:
            for line in file:
                where, reason, outcome = json.loads(line)
                yield where, reason, outcome

    def _store(self, member: Member, tree: "_Tree") -> None:
        if member.refused:
            raise member.refused
        kept = self._keep.get(member.path)
        if kept is not None:
            kept.write_bytes(member.data)
        else:
            tree.write(member.path.encode(), member.data, member.number)

    def _state(self) -> dict[str, Any]:
        if not self._journal.exists():
            return {"cursor": None, "refused": 0, "done": False}
        state: dict[str, Any] = json.loads(self._journal.read_bytes())
        return state

    def _save(self, state: dict[str, Any]) -> None:
        draft = self._journal.with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(self._journal)


class _Tree:
    """Writes files below a folder; keeps the last folder open."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, _FOLDER)
        self._fd, self._folder = self._root, b""

    def __enter__(self) -> "_Tree":
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        os.close(self._root)

    def write(self, path: bytes, data: bytes, number: int) -> None:
        """Write the file of member ``number``; raises ``Refused`` where the path is taken."""
        folder, _, name = path.rpartition(b"/")
        if folder != self._folder:
            self._enter(folder)
        stamp = (number + 1) * _SECOND
        try:
            try:
                fd = os.open(name, _NEW, 0o444, dir_fd=self._fd)
            except FileExistsError:
                self._make_way(name, stamp)
                fd = os.open(name, _NEW, 0o444, dir_fd=self._fd)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                os.utime(fd, ns=(stamp, stamp))
            finally:
                os.close(fd)
        except OSError as error:
            raise _no_room(error) from error

    def _make_way(self, name: bytes, stamp: int) -> None:
        """Remove what a killed run left of this very member; raises ``Refused`` for another one's file."""
        status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            raise Refused("a folder has the same name")
        if status.st_mtime_ns < stamp:
            raise Refused("duplicate name: an earlier member of the archive has it already")
        os.unlink(name, dir_fd=self._fd)

    def _enter(self, folder: bytes) -> None:
        self._leave()
        try:
            for part in folder.split(b"/") if folder else ():
                try:
                    fd = os.open(part, _FOLDER, dir_fd=self._fd)
                except FileNotFoundError:
                    os.mkdir(part, 0o755, dir_fd=self._fd)
                    fd = os.open(part, _FOLDER, dir_fd=self._fd)
                if self._fd != self._root:
                    os.close(self._fd)
                self._fd = fd
        except OSError as error:
            self._leave()
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise Refused("a file has the name of one of its folders") from None
            raise _no_room(error) from error
        self._folder = folder

    def _leave(self) -> None:
        if self._fd != self._root:
            os.close(self._fd)
        self._fd, self._folder = self._root, b""


def _no_room(error: OSError) -> IntakeError:
    if is_disk_full(error):
        return IntakeError(DISK_FULL)
    return IntakeError(f"A file of the archive cannot be written: {error.strerror}.")
