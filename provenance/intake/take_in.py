"""The whole intake: an archive or a folder in, a manifest out."""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from .archives import ArchiveLimits
from .blocks import Refusal
from .errors import IntakeError
from .extraction import Extraction
from .images import PIXEL_CAP
from .labels import LabelFile, Labels
from .listing import Listing, list_folder
from .manifest import Manifest
from .opening import open_archive
from .pool import read_blocks
from .reading import Reading
from .writing import ManifestWriter

Progress = Callable[[int, int, str], None]  # done, total, phase
LABELS_KEPT = "labels.csv"  # beside manifest/ and files/, under this name whatever it was called


@dataclass(frozen=True)
class IntakeOptions:
    """How to take a dataset in."""

    labels: Labels = field(default_factory=Labels)
    processes: int = 2
    decode_all: bool = False  # decode every image; slower, and finds damage that leaves the structure whole
    pixel_cap: int = PIXEL_CAP
    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    lock_seconds: float = 0.0  # how long to wait for another process that still holds the folder


@dataclass(frozen=True)
class Taken:
    """What came of it: the manifest's folder and facts, and the folder below which its files lie."""

    manifest: Path
    files: Path
    facts: dict[str, Any]


def take_in(
    source: Path,
    workdir: Path,
    options: IntakeOptions | None = None,
    progress: Progress = lambda done, total, phase: None,
) -> Taken:
    """Take in ``source``, an archive or a folder, and leave its manifest in ``workdir/manifest``.

    Archives are unpacked once to ``workdir/files``; a folder is read in place. Called again after a kill or any failure
    it goes on where it was, to the same bytes; once done, it only returns the result. Raises ``IntakeError``.
    """
    options = options or IntakeOptions()
    source = source.absolute()
    in_place = source.is_dir()
    files = source if in_place else workdir / "files"
    workdir.mkdir(parents=True, exist_ok=True)
    with _lock(workdir, options.lock_seconds):
        _bind(workdir / "work", source, options)
        intake = _Intake(source, files, workdir, options, progress)
        manifest = intake.run(in_place)
        with manifest:
            if not len(manifest):
                raise IntakeError(_nothing(manifest))
            return Taken(manifest.folder, files, manifest.facts)


class _Intake:
    def __init__(
        self,
        source: Path,
        files: Path,
        workdir: Path,
        options: IntakeOptions,
        progress: Progress,
    ) -> None:
        self._source = source
        self._files = files
        self._scratch = workdir / "work"
        self._options = options
        self._progress = progress
        self._writer = ManifestWriter(workdir / "manifest")

    def run(self, in_place: bool) -> Manifest:
        """Unpack, list, read, join; each step is skipped where an earlier run finished it."""
        if self._writer.finished and not self._scratch.exists():
            return Manifest(self._writer.folder)
        refused: Iterator[Refusal] = iter(())
        kind = "folder"
        if not in_place:
            kind, refused = self._unpack()
        listing = self._list(in_place)
        if not self._writer.finished:
            self._read(listing)
        self._progress(listing.files, listing.files, "building the Merkle tree")
        notes = {"source": kind, "labels_from": self._options.labels.kind, **self._keep_labels(in_place)}
        manifest = self._writer.finish(len(listing.spans), chain(refused, listing.refused), notes)
        if not in_place:
            _remove_refused(self._files, listing, manifest)
        shutil.rmtree(self._scratch)
        return manifest

    def _keep_labels(self, in_place: bool) -> dict[str, Any]:
        """A copy of the CSV that came with the images, byte for byte: it is no image, but goes with every release."""
        name = self._options.labels.csv
        if not name:
            return {}
        draft, kept = self._scratch / "labels.kept", self._scratch.parent / LABELS_KEPT
        try:
            shutil.copyfile(self._source / name if in_place else self._scratch / "labels.csv", draft)
        except OSError as error:
            raise IntakeError(f"The file {name} with the labels cannot be read: {error.strerror}.") from error
        draft.replace(kept)
        with kept.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"labels_file": {"path": name, "size": kept.stat().st_size, "sha256": digest}}

    def _unpack(self) -> tuple[str, Iterator[Refusal]]:
        reader = open_archive(self._source, self._options.archive)
        keep = {}
        if self._options.labels.csv:
            keep[self._options.labels.csv] = self._scratch / "labels.csv"
        try:
            extraction = Extraction(reader, self._files, self._scratch, keep)
            phase = f"unpacking the archive ({reader.unit})"
            extraction.run(lambda done, total: self._progress(done, total, phase))
        finally:
            reader.close()
        return reader.kind, extraction.refused()

    def _list(self, in_place: bool) -> Listing:
        labels, leave_out = None, frozenset[str]()
        target = self._scratch / "listing"
        chosen = self._options.labels
        if chosen.kind == "csv" and not target.with_suffix(".json").exists():
            inside = self._source / chosen.csv if in_place else self._scratch / "labels.csv"
            path = chosen.file or inside
            if not path.is_file() or (in_place and chosen.csv and path.is_symlink()):
                raise IntakeError(f"The dataset has no file {chosen.csv or path.name} with the labels.")
            labels = LabelFile(path, self._scratch, chosen.csv or "labels.csv")
        if chosen.csv:
            leave_out = frozenset({chosen.csv})
        return list_folder(
            self._files,
            target,
            labels=labels,
            leave_out=leave_out,
            tick=lambda files: self._progress(files, 0, "listing the files"),
        )

    def _read(self, listing: Listing) -> None:
        reading = Reading(
            root=str(self._files),
            listing=str(listing.path),
            blocks=str(self._writer.blocks),
            label_folder={"folder": 0, "last_folder": -1}.get(self._options.labels.kind),
            decode_all=self._options.decode_all,
            pixel_cap=self._options.pixel_cap,
            file_cap=self._options.archive.member,
        )
        todo = [span for span in listing.spans if not self._writer.has_block(span[0])]
        before = len(listing.spans) - len(todo)

        def after_each(finished: int) -> None:
            done = (before + finished) / max(1, len(listing.spans))
            self._progress(round(done * listing.files), listing.files, "reading the files")

        read_blocks(reading, todo, self._options.processes, after_each)


@contextmanager
def _lock(workdir: Path, seconds: float) -> Iterator[None]:
    """Only one intake at a time works in a folder; the lock goes with the process, however it ends."""
    deadline = time.monotonic() + seconds
    with (workdir / "lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise IntakeError("Another process is taking in this dataset right now.") from error
                time.sleep(0.2)
        yield


def _bind(scratch: Path, source: Path, options: IntakeOptions) -> None:
    """Refuse to go on in a folder where another source, or the same one before a change, was begun."""
    if (scratch.parent / "manifest" / "facts.json").exists() and not scratch.exists():
        return
    try:
        status = source.stat()
    except OSError as error:
        raise IntakeError(f"The source of the dataset cannot be read: {error.strerror}.") from error
    size, changed = (0, 0) if source.is_dir() else (status.st_size, status.st_mtime_ns)
    labels = options.labels
    bound = {
        "source": str(source),
        "size": size,
        "changed": changed,
        "labels": [labels.kind, labels.csv, str(labels.file)],
        "decode_all": options.decode_all,
        "pixel_cap": options.pixel_cap,
    }
    scratch.mkdir(exist_ok=True)
    note = scratch / "source.json"
    if not note.exists():
        draft = scratch / "source.draft"
        draft.write_text(json.dumps(bound))
        draft.replace(note)
    elif json.loads(note.read_bytes()) != bound:
        raise IntakeError("The source changed since this intake began. Register it as a new version.")


def _remove_refused(files: Path, listing: Listing, manifest: Manifest) -> None:
    """Remove unpacked files that the manifest does not hold. Both lists ascend, so one look at each is enough."""
    if len(manifest) == listing.files:
        return
    held = (entry.path.encode() for entry in manifest)
    current = next(held, None)
    for path in listing.paths():
        if path == current:
            current = next(held, None)
        else:
            Path(os.fsdecode(os.fsencode(files) + b"/" + path)).unlink(missing_ok=True)


def _nothing(manifest: Manifest) -> str:
    reasons = [f"{item['path']}: {item['reason']}" for item in manifest.refused(0, 3)]
    listed = f" For example {'; '.join(reasons)}." if reasons else ""
    return f"There is no image in it that can be taken.{listed}"
