"""The weights inside an ONNX file, read without the onnx package; field numbers are those of onnx.proto.

Only for files that have passed `onnx_files.check_onnx`, so nothing here points outside the file.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.suspects.onnx_files import MAX_DEPTH, fields, varint

# TensorProto.DataType: what holds weights. Whole numbers of 32 and 64 bits are shapes and places.
FLOAT, UINT8, INT8, FLOAT16, DOUBLE, BFLOAT16 = 1, 2, 3, 10, 11, 16
KINDS = {FLOAT: "<f4", UINT8: "u1", INT8: "i1", FLOAT16: "<f2", DOUBLE: "<f8", BFLOAT16: "<u2"}
LISTS = {FLOAT: 4, DOUBLE: 10}  # the field of a type's own list; narrower ones share that of whole numbers
_TENSOR, _DATA_TYPE, _INTEGERS, _RAW = "tensor", 2, 5, 9
# message -> {field number: message of the field}: the way to tensors, in graphs, in nodes and inside functions.
_WAY: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: _TENSOR},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph"},
    "function": {7: "node"},
}


def onnx_tensors(path: Path) -> Iterator[NDArray[Any]]:
    """The values of every tensor with weights in it, flat."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from _inside(data, "model", 0, len(data), 0)


def _inside(data: mmap.mmap, kind: str, start: int, end: int, depth: int) -> Iterator[NDArray[Any]]:
    if depth > MAX_DEPTH:  # the door has refused such files
        return
    for number, wire, low, high in fields(data, start, end):
        child = _WAY[kind].get(number) if wire == 2 else None
        if child == _TENSOR:
            values = _values(data, low, high)
            if values is not None and len(values):
                yield values
        elif child is not None:
            yield from _inside(data, child, low, high, depth + 1)


def _values(data: mmap.mmap, start: int, end: int) -> NDArray[Any] | None:
    """The numbers of one tensor: raw bytes, or a packed list of floats, doubles or whole numbers."""
    kind, spans = 0, dict[int, tuple[int, int]]()
    for number, wire, low, high in fields(data, start, end):
        if number == _DATA_TYPE and wire == 0:
            kind = low
        elif wire == 2:
            spans[number] = low, high
    if kind not in KINDS:
        return None
    if _RAW in spans:
        return _wide(_read(data, KINDS[kind], *spans[_RAW]), kind)
    if kind in LISTS:
        return _read(data, KINDS[kind], *spans[LISTS[kind]]) if LISTS[kind] in spans else None
    return _wide(_narrow(_whole(data, *spans[_INTEGERS]), kind), kind) if _INTEGERS in spans else None


def _read(data: mmap.mmap, kind: str, low: int, high: int) -> NDArray[Any]:
    return np.frombuffer(data[low : high - (high - low) % np.dtype(kind).itemsize], kind)


def _whole(data: mmap.mmap, low: int, high: int) -> Iterator[int]:
    while low < high:
        value, low = varint(data, low, high)
        yield value & 0xFFFF


def _narrow(numbers: Iterator[int], kind: int) -> NDArray[Any]:
    """Eight bits as such, sixteen as the bits of a short float."""
    bits = np.fromiter(numbers, "<u2")
    return bits.astype("u1").view(KINDS[kind]) if kind in (UINT8, INT8) else bits.view(KINDS[kind])


def _wide(values: NDArray[Any], kind: int) -> NDArray[Any]:
    """bfloat16 is the upper half of a float."""
    return (values.astype("<u4") << 16).view("<f4") if kind == BFLOAT16 else values
