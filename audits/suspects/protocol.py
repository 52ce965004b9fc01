"""How the parent and the child talk: frames over pipes, a JSON header and raw arrays, nothing that is executed.

A frame is 4 bytes (length of the header, big-endian), the header as JSON, then the bytes of the arrays that the header
lists under ``arrays`` (name, dtype, shape), one after another in C order. Both sides cap what they take.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MAX_HEADER = 2**22
MAX_ARRAYS = 32  # answers to noise come in some thirty ways
MAX_DIMENSIONS = 4
NUMBER = struct.Struct("<i")  # how the fork server tells a process number and an exit code
DTYPES = {"uint8": np.uint8, "float32": np.float32, "float64": np.float64, "int64": np.int64}

Arrays = Mapping[str, npt.NDArray[Any]]


class ProtocolError(RuntimeError):
    """The other side sent something that is not a frame, or one that is too large."""


class ClosedError(RuntimeError):
    """The other side is gone."""


class LateError(RuntimeError):
    """The other side did not answer in time."""


@dataclass
class Frame:
    """One message."""

    header: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


class Pipe:
    """One reading and one writing end.

    ``idle`` is called about once a second while waiting; it may raise to give up.
    """

    def __init__(self, reading: int, writing: int, max_bytes: int, idle: Callable[[], None] | None = None) -> None:
        self._reading, self._writing, self._max_bytes, self._idle = reading, writing, max_bytes, idle
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    def send(self, header: Mapping[str, Any], arrays: Arrays | None = None, timeout: float | None = None) -> None:
        """Send one frame; raises ``ClosedError`` or ``LateError``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        parts = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
        listed = [[name, array.dtype.name, list(array.shape)] for name, array in parts.items()]
        text = json.dumps({**header, "arrays": listed}, allow_nan=False).encode()
        if len(text) > MAX_HEADER:
            raise ProtocolError("The message is too long.")
        self._write(struct.pack(">I", len(text)) + text, deadline)
        for array in parts.values():
            if array.size:
                self._write(array.reshape(-1).view(np.uint8).data, deadline)

    def receive(self, timeout: float | None = None) -> Frame:
        """Wait for one frame; raises ``ClosedError``, ``LateError`` or ``ProtocolError``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        length = struct.unpack(">I", self._read(4, deadline))[0]
        if length > MAX_HEADER:
            raise ProtocolError("The message's header is too long.")
        try:
            header = json.loads(bytes(self._read(length, deadline)))
        except (ValueError, RecursionError) as error:
            raise ProtocolError("The message's header is not JSON.") from error
        if not isinstance(header, dict):
            raise ProtocolError("The message's header is not a JSON object.")
        shapes = _shapes(header.pop("arrays", None), self._max_bytes)
        arrays = {}
        for name, (dtype, shape) in shapes.items():
            data = self._read(math.prod(shape) * dtype.itemsize, deadline)
            arrays[name] = np.frombuffer(data, dtype).reshape(shape)
        return Frame(header, arrays)

    def _write(self, data: bytes | memoryview, deadline: float | None) -> None:
        view = memoryview(data)
        while view:
            self._wait((), (self._writing,), deadline)
            try:
                view = view[os.write(self._writing, view[: 2**20]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise ClosedError("The other side closed the pipe.") from error

    def _read(self, count: int, deadline: float | None) -> bytearray:
        data = bytearray(count)
        view, have = memoryview(data), 0
        while have < count:
            self._wait((self._reading,), (), deadline)
            try:
                got = os.readv(self._reading, [view[have : have + 2**20]])
            except BlockingIOError:
                continue
            if got == 0:
                raise ClosedError("The other side closed the pipe.")
            have += got
        return data

    def _wait(self, reading: tuple[int, ...], writing: tuple[int, ...], deadline: float | None) -> None:
        while True:
            left = 1.0 if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise LateError("No answer in time.")
            if any(select.select(reading, writing, (), min(left, 1.0))[:2]):
                return
            if self._idle is not None:
                self._idle()


def _shapes(listed: Any, max_bytes: int) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    if not isinstance(listed, list) or len(listed) > MAX_ARRAYS:
        raise ProtocolError("The message's list of arrays is damaged.")
    shapes: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    total = 0
    for item in listed:
        if not isinstance(item, list) or len(item) != 3:
            raise ProtocolError("The message's list of arrays is damaged.")
        name, dtype_name, shape = item
        if not isinstance(name, str) or not isinstance(dtype_name, str) or dtype_name not in DTYPES or name in shapes:
            raise ProtocolError("The message holds an array of a type that is not allowed.")
        if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
            raise ProtocolError("The message holds an array of a shape that is not allowed.")
        if not all(isinstance(side, int) and not isinstance(side, bool) and 0 <= side < 2**40 for side in shape):
            raise ProtocolError("The message holds an array of a shape that is not allowed.")
        dtype = np.dtype(DTYPES[dtype_name])
        total += math.prod(shape) * dtype.itemsize
        if total > max_bytes:
            raise ProtocolError("The message holds more numbers than are allowed.")
        shapes[name] = (dtype, tuple(shape))
    return shapes
