"""Frames between parent and child: whole, capped, and never trusted."""

import json
import os
import struct
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.suspects.protocol import ClosedError, LateError, Pipe, ProtocolError


def pair(max_bytes=2**24):
    reading, writing = os.pipe()
    back_reading, back_writing = os.pipe()
    return Pipe(reading, back_writing, max_bytes), Pipe(back_reading, writing, max_bytes), writing


def frame(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + body


def test_arrays_larger_than_the_pipe_come_through_whole():
    left, right, _ = pair()
    sent: dict[str, np.ndarray] = {
        "rows": np.random.default_rng(1).normal(size=(300, 700)).astype(np.float32),
        "empty": np.zeros((0, 2), dtype=np.int64),
        "turned": np.arange(12, dtype=np.uint8).reshape(3, 4).T,
    }
    sender = threading.Thread(target=right.send, args=({"name": "größer"}, sent, 10))
    sender.start()
    got = left.receive(10)
    sender.join()
    assert got.header == {"name": "größer"}
    assert all(np.array_equal(got.arrays[name], sent[name]) for name in sent)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", 2**31),
        frame(b"not json"),
        frame([1, 2]),
        frame({"arrays": "rows"}),
        frame({"arrays": [["a", "object", [1]]]}),
        frame({"arrays": [["a", "float32", [-1]]]}),
        frame({"arrays": [["a", "float32", [2**39, 2**39]]]}),
        frame({"arrays": [["a", "float32", [1, 1, 1, 1, 1]]]}),
        frame({"arrays": [["a", "float32", [True]]]}),
        frame({"arrays": [["a", "uint8", [1]], ["a", "uint8", [1]]]}),
        frame({"arrays": [["a", "uint8", [2**24 + 1]]]}),
        frame({"arrays": [[str(i), "uint8", [1]] for i in range(33)]}),
    ],
)
def test_frames_that_promise_too_much_are_refused(data):
    left, _, writing = pair()
    os.write(writing, data)
    with pytest.raises(ProtocolError):
        left.receive(5)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60))
def test_garbage_never_gives_an_array(data):
    left, _, writing = pair()
    os.write(writing, data)
    os.close(writing)
    with pytest.raises((ProtocolError, ClosedError)):
        left.receive(5)


def test_silence_and_hanging_up_are_told_apart():
    left, _, writing = pair()
    with pytest.raises(LateError):
        left.receive(0.05)
    os.write(writing, b"\0\0")
    os.close(writing)
    with pytest.raises(ClosedError):
        left.receive(5)
