"""Walks an ONNX file's protocol buffer without the onnx package.

Looks for what must be refused before a runtime opens it: tensors kept in other files (a path that the file's author
chooses) and operators that need a library of their own. Field numbers are those of onnx.proto (IR version 3 to 13).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from audits.suspects.errors import FormatError

MAX_FIELDS = 2_000_000
MAX_DEPTH = 40
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"})

# message -> {field number: message of the field}; fields not listed need no walking
_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "opset": {},
    "tensor": {},
}
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}

Buffer = mmap.mmap | bytes


class _DamagedError(ValueError):
    """The bytes are not a protocol buffer of this shape."""


def is_onnx(path: Path) -> bool:
    """Whether the file's top level reads as an ONNX model with a graph."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        seen: set[int] = set()
        try:
            for number, wire, _, _ in fields(data, 0, len(data)):
                if _MODEL_FIELDS.get(number) != wire:
                    return False
                seen.add(number)
        except _DamagedError:
            return 7 in seen and 1 in seen
        return 7 in seen


def check_onnx(path: Path) -> None:
    """Raise ``FormatError`` where an ONNX file points to other files or to operators of its own."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _Walk(data).message("model", 0, len(data), 0)
        except _DamagedError as error:
            raise FormatError("This ONNX file is damaged or cut off. Upload it again.") from error


class _Walk:
    def __init__(self, data: Buffer) -> None:
        self._data = data
        self._count = 0

    def message(self, kind: str, start: int, end: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise FormatError("The graph in this ONNX file is nested too deeply.")
        children = _CHILDREN[kind]
        for number, wire, low, high in fields(self._data, start, end):
            self._count += 1
            if self._count > MAX_FIELDS:
                raise FormatError("This ONNX file has far too many parts.")
            if kind == "tensor":
                self._tensor_field(number, wire, low)
            elif wire == 2 and (kind, number) in {("node", 7), ("opset", 1)}:
                self._domain(bytes(self._data[low : min(high, low + 200)]))
            elif number in children:
                if wire != 2:
                    raise _DamagedError(kind)
                self.message(children[number], low, high, depth + 1)

    def _tensor_field(self, number: int, wire: int, value: int) -> None:
        if (number == 13 and wire == 2) or (number == 14 and wire == 0 and value != 0):
            raise FormatError(
                "This ONNX file keeps its weights in another file. Export it again with all weights inside "
                "(save_as_external_data=False); above 2 GB bring safetensors instead."
            )

    def _domain(self, name: bytes) -> None:
        text = name.decode("utf-8", "replace")
        if text not in DOMAINS and not text.startswith("pkg."):
            raise FormatError(
                f"This ONNX file uses operators of “{text[:60]}”, which need a library of their own. Export it with "
                "standard operators only."
            )


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (field number, wire type, first, last) per field: a span of bytes, or a number and 0 for varints."""
    at = start
    while at < end:
        tag, at = varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise _DamagedError("field 0")
        if wire == 0:
            value, at = varint(data, at, end)
            yield number, wire, value, 0
        elif wire == 2:
            length, at = varint(data, at, end)
            if length > end - at:
                raise _DamagedError("length")
            yield number, wire, at, at + length
            at += length
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            if width > end - at:
                raise _DamagedError("length")
            yield number, wire, at, at + width
            at += width
        else:
            raise _DamagedError("wire type")


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """A number and where the next field begins."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise _DamagedError("varint")
