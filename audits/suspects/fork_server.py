"""Forks the confined children that open strangers' models: ``python -m audits.suspects.fork_server``.

Importing torch takes longer than most models take to answer. This process imports it once, is told no secret and reads
nothing of a stranger's; every child is forked from it before it knows of any model, and confines itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from audits.suspects import child
from audits.suspects.protocol import NUMBER

IDLE_SECONDS = 60  # without a child and without a request: then it gives its memory back
MAX_REQUEST = 2**16
CHILD_NAME = "suspect"  # as the system's tools list it
_MOST_DESCRIPTORS = 1 << 16
_ALWAYS = ("torch", "safetensors.torch", "audits.suspects.architectures", "audits.suspects.inputs")
# Not onnxruntime: importing it starts a thread, and a lock that a thread holds would stay locked in every child.
_OF_FAMILY = {"timm": ("timm",), "open_clip": ("audits.suspects.clip_models",)}


class ForkServer:
    """Forks on request, and tells how each child ended.

    A request is a JSON object with four descriptors: standard input, output and errors of the child, and a pipe that
    is told its process number and later its exit code (negative for a signal).
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._told: dict[int, tuple[int, int]] = {}  # by the handle of a child: its number, the pipe of its end
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Until the other side is gone; the kernel then ends the children."""
        while True:
            ready = self._poll.poll(None if self._told else IDLE_SECONDS * 1000)
            if not ready:
                return
            for descriptor, _ in ready:
                if descriptor in self._told:
                    self._tell_end(descriptor)
                elif not self._take_request():
                    return

    def _take_request(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, MAX_REQUEST, 4)
        if not message:
            return False
        request = json.loads(message)
        _import_for(request["family"])
        gc.freeze()  # a collection in a child would otherwise copy what it shares with us
        number = os.fork()
        if number == 0:
            _become_child(request, descriptors[:3])
        handle = os.pidfd_open(number)
        self._told[handle] = (number, descriptors[3])
        self._poll.register(handle, select.POLLIN)
        with suppress(BrokenPipeError):
            os.write(descriptors[3], NUMBER.pack(number))
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        return True

    def _tell_end(self, handle: int) -> None:
        number, pipe = self._told.pop(handle)
        self._poll.unregister(handle)
        os.close(handle)
        end = os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)
        assert end is not None  # noqa: S101
        code = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
        with suppress(BrokenPipeError):
            os.write(pipe, NUMBER.pack(code))
        os.close(pipe)
        os.waitpid(number, 0)  # only now: until it is told, the number is nobody else's


def _import_for(family: str) -> None:
    """What a model of this family will need; what cannot be imported is told by the child, which tries again."""
    for name in (*_ALWAYS, *_OF_FAMILY.get(family, ())):
        with suppress(ImportError):
            importlib.import_module(name)


def _become_child(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Never returns into the server's loop, whatever happens."""
    code = 1
    try:
        for standard, descriptor in enumerate(descriptors):
            os.dup2(descriptor, standard)
        os.closerange(3, _MOST_DESCRIPTORS)
        os.setsid()
        os.chdir(request["folder"])
        Path("/proc/self/comm").write_text(CHILD_NAME, encoding="ascii")
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None  # of the server's surroundings
        child.main(request["words"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides, by closing the socket
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        ForkServer(control).serve()


if __name__ == "__main__":
    main()
