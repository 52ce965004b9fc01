"""Several processes that read blocks. This process is one of them, so ``processes=1`` starts no other."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable

from .decoding import child_environment
from .errors import IntakeError
from .reading import BlockReader, Reading

Span = tuple[int, int, int]  # number of the block, and the bytes of the listing that name its files

_AHEAD = 2  # blocks a child is given at a time, so that it never waits for us


class _Child:
    def __init__(self, reading: Reading) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "provenance.intake.reading", reading.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            cwd="/",
        )
        assert self.process.stdin is not None  # noqa: S101 - narrows the type
        assert self.process.stdout is not None  # noqa: S101
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.waiting = 0

    def send(self, span: Span) -> None:
        try:
            self.stdin.write(json.dumps(span).encode() + b"\n")
            self.stdin.flush()
        except BrokenPipeError:
            raise _died(self.process) from None
        self.waiting += 1

    def receive(self) -> None:
        answers = os.read(self.stdout.fileno(), 1 << 16)
        if not answers:
            raise _died(self.process)
        self.waiting -= answers.count(b"\n")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()


def _died(process: "subprocess.Popen[bytes]") -> IntakeError:
    code = process.wait()
    how = f"was killed by signal {-code}, probably out of memory" if code < 0 else f"ended with code {code}"
    return IntakeError(f"A process that reads files {how}. What was finished is kept; start the job again.")


def read_blocks(reading: Reading, spans: Iterable[Span], processes: int, after_each: Callable[[int], None]) -> None:
    """Read all blocks; ``after_each`` gets the number of blocks finished so far and may raise to stop."""
    todo = deque(spans)
    total, own = len(todo), 0
    children = [_Child(reading) for _ in range(min(processes - 1, total - 1))]
    given = 0
    try:
        with BlockReader(reading) as reader:
            while todo or any(child.waiting for child in children):
                for child in children:
                    while todo and child.waiting < _AHEAD:
                        child.send(todo.popleft())
                        given += 1
                if todo:
                    reader.read(*todo.popleft())
                    own += 1
                    _receive(children, 0)
                else:
                    _receive(children, None)
                after_each(own + given - sum(child.waiting for child in children))
    finally:
        for child in children:
            child.close()


def _receive(children: list[_Child], timeout: float | None) -> None:
    waiting = {child.stdout.fileno(): child for child in children if child.waiting}
    for fd in select.select(list(waiting), [], [], timeout)[0] if waiting else ():
        waiting[fd].receive()
