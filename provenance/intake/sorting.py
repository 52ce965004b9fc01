"""Sorting more byte strings than memory should hold."""

import heapq
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

IN_MEMORY = 50_000
FAN_IN = 200  # files open at once while merging


class ExternalSort:
    """Collects byte strings and yields them sorted; at most ``IN_MEMORY`` of them are held at a time.

    Records must not contain a newline: runs are kept as lines in files of ``folder``, which are removed at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records: list[bytes] = []
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def add(self, record: bytes) -> None:
        self._records.append(record)
        if len(self._records) >= IN_MEMORY:
            self._spill()

    def extend(self, records: list[bytes]) -> None:
        self._records += records
        if len(self._records) >= IN_MEMORY:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        if not self._runs:
            self._records.sort()
            yield from self._records
            return
        if self._records:
            self._spill()
        while len(self._runs) > FAN_IN:
            merged, self._runs = self._runs[:FAN_IN], self._runs[FAN_IN:]
            self._runs.append(self._write(heapq.merge(*map(_lines, merged))))
            for run in merged:
                run.close()
        yield from heapq.merge(*map(_lines, self._runs))

    def close(self) -> None:
        for run in self._runs:
            run.close()
        self._runs = []
        self._records = []

    def _spill(self) -> None:
        self._records.sort()
        self._runs.append(self._write(iter(self._records)))
        self._records = []

    def _write(self, records: Iterator[bytes]) -> IO[bytes]:
        # An unnamed file: nothing is left behind, not even by a kill.
        file = tempfile.TemporaryFile(dir=self._folder, buffering=1 << 16)  # noqa: SIM115 - closed in close()
        for record in records:
            file.write(record + b"\n")
        return file


def _lines(run: IO[bytes]) -> Iterator[bytes]:
    run.seek(0)
    for line in run:
        yield line[:-1]
