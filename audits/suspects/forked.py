"""Starts confined children through this process's fork server, and follows each like a ``subprocess.Popen``."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from audits.suspects.errors import SuspectError
from audits.suspects.protocol import NUMBER

_ROOT = Path(__file__).resolve().parents[2]
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "SYSTEMROOT")
# By itself glibc gives large memory back after every batch, and fetching it again costs more than a mark does.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20)}
_NOWHERE = Path("/nonexistent")
_ATTEMPTS = 2  # a server that was idle for long may end at the very moment when it is asked


def surroundings(folder: Path = _NOWHERE, threads: int = 1) -> dict[str, str]:
    """What a child may know of ours: nothing but where programs are and which GPU is meant. `folder` is its home."""
    own = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    # Threads that spin at barriers make a busy machine ten times slower; waiting ones cost little on an idle one.
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    places = {"PYTHONPATH": str(_ROOT), "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
    return {**own, **offline, **counts, **waiting, **KEPT_MEMORY, **places}


class _Server:
    """The fork server of this process; a forked copy of this process needs one of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._owner = os.getpid()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "audits.suspects.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                start_new_session=True,
            )
        self.number = self._process.pid

    def is_alive(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """Ends the server, and with it what is left of its children; only forgets it where it is another process's."""
        self.control.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()


_lock = threading.Lock()
_running: list[_Server] = []  # none or one


@atexit.register
def end_server() -> None:
    """End the fork server of this process, if there is one, and what is left of its children."""
    with _lock:
        while _running:
            _running.pop().close()


class ForkedProcess:
    """A confined child: `pid`, and the ends of its pipes, `reading` and `writing`.

    Args: words: its arguments, after the number of its parent. family: of the model it will open. folder: where it
    runs. errors: descriptor of a file that takes its error stream. seconds: to wait for it.

    Raises: SuspectError where none could be started.
    """

    def __init__(
        self,
        words: Sequence[str],
        family: str,
        folder: Path,
        environment: Mapping[str, str],
        errors: int,
        seconds: float,
    ) -> None:
        self.returncode: int | None = None
        request = {"family": family, "words": list(words), "folder": str(folder), "environment": dict(environment)}
        for _ in range(_ATTEMPTS):
            if self._start(request, errors, seconds):
                return
        raise SuspectError("crashed", "The process that starts models ended without a reason. Try again.")

    def _start(self, request: Mapping[str, Any], errors: int, seconds: float) -> bool:
        given, self.writing = os.pipe()
        self.reading, answers = os.pipe()
        self._ended, told = os.pipe()
        try:
            with _lock, suppress(BrokenPipeError, ConnectionResetError):
                server = _server()
                message = json.dumps({**request, "words": [str(server.number), *request["words"]]}).encode()
                socket.send_fds(server.control, [message], [given, answers, errors, told])
        finally:
            for descriptor in (given, answers, told):
                os.close(descriptor)
        number = self._number(seconds)
        if number is None:
            self._close()
            return False
        self.pid = number
        return True

    def _number(self, seconds: float | None) -> int | None:
        """What the server tells next; None where it is gone. Raises TimeoutExpired."""
        if not select.select([self._ended], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired("fork_server", seconds or 0)
        found = os.read(self._ended, NUMBER.size)
        return NUMBER.unpack(found)[0] if len(found) == NUMBER.size else None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            code = self._number(timeout)
            self.returncode = -signal.SIGKILL if code is None else code  # no server: the kernel ended it with it
        return self.returncode

    def kill(self) -> None:
        """End it at once. A child that has ended keeps its number until we are told, so it is nobody else's."""
        if self.returncode is None and not select.select([self._ended], [], [], 0)[0]:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Close its pipes, kill it and wait for it; safe to call again."""
        if self._ended >= 0:
            self.kill()
            self.wait()
            self._close()

    def _close(self) -> None:
        for descriptor in (self.reading, self.writing, self._ended):
            os.close(descriptor)
        self._ended = -1


def _server() -> _Server:
    if _running and not _running[0].is_alive():
        _running.pop().close()
    if not _running:
        _running.append(_Server(surroundings()))
    return _running[0]
