"""One measurement: everything that one model is asked about one release, block by block.

Probes, group images, and the marks of a wrong key: docs/method.md, sections 4.1 and 6.5. A block is put on disk as soon
as it is answered, while the model works on the next one, so a killed job resumes; a portion that is whole is sorted
into one file per condition.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audits.asking.questions import (
    CLEAN,
    GROUPS,
    KEY,
    WRONG,
    Answered,
    AskedModel,
    Asking,
    Marks,
    MeasuringError,
    Portion,
    Question,
)
from provenance.whole_files import write_whole

__all__ = [
    "CLEAN",
    "GROUPS",
    "KEY",
    "WRONG",
    "Answers",
    "AskedModel",
    "Marks",
    "MeasuringError",
    "Question",
    "already_answered",
    "measure",
]

KINDS = ("features", "soft", "hard", "captions")


class Answers:
    """Stored answers of one measurement, read one condition at a time so that memory stays small."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, kind: str) -> bool:
        """Whether the model gave "features", "soft" or "hard" labels."""
        return (self.folder / f"{CLEAN}.0000.{kind}.npy").exists()

    def read(self, condition: str, kind: str) -> NDArray[np.float32]:
        """All answers of one condition ("clean", "groups", "key-003" …): (N, d) float32; hard labels are (N, 1)."""
        parts = sorted(self.folder.glob(f"{condition}.*.{kind}.npy"))
        if not parts:
            raise MeasuringError(f"The answers of this measurement are not complete: {condition} is missing.")
        return np.concatenate([np.load(part, allow_pickle=False) for part in parts])

    def largest(self, kind: str) -> int:
        """The largest value in all answers of a kind: the highest hard label that the model ever gave."""
        tables = (np.load(part, allow_pickle=False) for part in self.folder.glob(f"*.{kind}.npy"))
        return int(max((np.nanmax(table) for table in tables if not np.isnan(table).all()), default=0))

    @property
    def has_wrong_key(self) -> bool:
        return any(self.folder.glob(f"{WRONG}-000.*"))


def measure(
    question: Asking,
    folder: Path,
    model: AskedModel,
    on_block: Callable[[int], None],
    patterns: range | None = None,
) -> Answers:
    """Ask what is not answered yet; returns all answers.

    folder: where the blocks are kept. on_block: told how many images the last block answered (blocks from an earlier
    attempt too); it may raise to stop, and nothing is lost. patterns: ask about these only, as in `Question.portions`.
    Raises MeasuringError if the folder holds answers to another question.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, question)
    loaded: set[str] = set()
    with _Aside() as aside:
        for portion in question.portions(patterns):
            if _is_complete(folder, portion):
                on_block(portion.size)
                continue
            for block in portion.blocks():
                if not _is_answered(folder, block.name):
                    question.load(model, portion, loaded)
                    aside.do(_store, folder, block.name, question.ask(model, block), len(block.pairs))
                on_block(len(block.pairs))
            if portion.is_mixed:
                aside.do(_sort, folder, portion)
    return Answers(folder)


class _Aside:
    """Does one thing after the other in a thread of its own, so that the model need not wait for the disk.

    One at most is waiting, for memory stays small; a failure is raised by the next call, or at the end. Whatever ends
    the asking, what was begun is finished.
    """

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._begun: Future[None] | None = None
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(wait=True)
        if kind is None and self._begun is not None:
            self._begun.result()

    def do(self, action: Callable[..., None], *given: Any) -> None:
        if self._begun is not None:
            self._begun.result()
        self._begun = self._pool.submit(action, *given)


def already_answered(question: Asking, folder: Path, patterns: range | None = None) -> int:
    """How many images of what `measure` would ask have their answers in the folder."""
    found = 0
    for portion in question.portions(patterns):
        if _is_complete(folder, portion):
            found += portion.size
        else:
            found += sum(len(block.pairs) for block in portion.blocks() if _is_answered(folder, block.name))
    return found


def _claim(folder: Path, question: Asking) -> None:
    note, digest = folder / "question.sha256", question.digest
    if not note.exists():
        write_whole(note, lambda path: path.write_text(digest))
    elif note.read_text() != digest:
        raise MeasuringError("The answers kept so far belong to other images or marks; start a new audit.", str(folder))


def _is_answered(folder: Path, stem: str) -> bool:
    return (folder / f"{stem}.done").exists()


def _is_complete(folder: Path, portion: Portion) -> bool:
    return all(_is_answered(folder, portion.stem(condition)) for condition in portion.conditions)


def _store(folder: Path, stem: str, answers: Answered, count: int) -> None:
    given = {kind: getattr(answers, kind) for kind in KINDS if getattr(answers, kind) is not None}
    if not given:
        raise MeasuringError("The model gave neither features nor labels.")
    for kind, values in given.items():
        table = np.asarray(values, dtype=np.float32)
        table = table[:, None] if table.ndim == 1 else table
        if table.ndim != 2 or len(table) != count:
            raise MeasuringError(f"The model answered {values.shape} to {count} images.")
        write_whole(folder / f"{stem}.{kind}.npy", partial(_save, table))
    # The note comes last: a block that was half written when the job was killed is asked again.
    _note(folder, stem, count)


def _sort(folder: Path, portion: Portion) -> None:
    """From answers in the order of asking to one file per condition in the order of the images."""
    blocks = list(portion.blocks())
    try:
        tables = {
            kind: _sorted(folder, portion, kind) for kind in KINDS if _path(folder, blocks[0].name, kind).exists()
        }
    except FileNotFoundError:
        if not _is_complete(folder, portion):  # else another worker asked the same and has sorted it meanwhile
            raise
        tables = {}
    if not tables and not _is_complete(folder, portion):
        raise MeasuringError("Answers that were stored a moment ago are not there any more; try the run again.")
    for kind, table in tables.items():
        for number, condition in enumerate(portion.conditions):
            write_whole(_path(folder, portion.stem(condition), kind), partial(_save, table[number]))
    if tables:
        for condition in portion.conditions:
            _note(folder, portion.stem(condition), len(portion.indices))
    for block in blocks:
        for path in (folder / f"{block.name}.done", *(_path(folder, block.name, kind) for kind in KINDS)):
            path.unlink(missing_ok=True)


def _sorted(folder: Path, portion: Portion, kind: str) -> NDArray[np.float32]:
    """(K, n, d): all answers of a kind to one portion."""
    table: NDArray[np.float32] | None = None
    for block in portion.blocks():
        values = np.load(_path(folder, block.name, kind), allow_pickle=False)
        if table is None:
            table = np.empty((portion.size, values.shape[1]), dtype=np.float32)
        if values.shape[1] != table.shape[1]:
            raise MeasuringError("The model's answers changed their length in the middle of a measurement.")
        table[block.pairs] = values
    assert table is not None  # noqa: S101
    return table.reshape(len(portion.conditions), len(portion.indices), -1)


def _path(folder: Path, stem: str, kind: str) -> Path:
    return folder / f"{stem}.{kind}.npy"


def _note(folder: Path, stem: str, count: int) -> None:
    write_whole(folder / f"{stem}.done", lambda path: path.write_text(str(count)))


def _save(table: NDArray[np.float32], path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, table, allow_pickle=False)
