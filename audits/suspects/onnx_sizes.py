"""An ONNX file without the sizes that it declares, so that a network may be asked at others than its export took.

Only for files that have passed `onnx_files.check_onnx`; field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from audits.suspects.onnx_files import fields

# message -> {field number: message of the field}: the way to what is declared about values going in, out and between.
_WAY: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {11: "value", 12: "value", 13: "value"},
    "value": {2: "type"},
    "type": {1: "tensor type"},
    "tensor type": {2: "shape"},
    "shape": {1: "side"},
}
_NUMBER, _UNKNOWN = 0x08, 0x78  # tags of varints: field 1, a side's number, and field 15, which no version has


def of_any_size(file: bytes) -> bytes:
    """The same bytes, but that a reader skips the numbers of all sides: it takes them as not declared."""
    made = bytearray(file)
    for start in _sides(file, "model", 0, len(file)):
        if made[start] == _NUMBER:
            made[start] = _UNKNOWN
    return bytes(made)


def _sides(file: bytes, kind: str, start: int, end: int) -> Iterator[int]:
    """Where each begins."""
    if kind == "side":
        if start < end:
            yield start
        return
    for number, wire, low, high in fields(file, start, end):
        child = _WAY[kind].get(number) if wire == 2 else None
        if child is not None:
            yield from _sides(file, child, low, high)
