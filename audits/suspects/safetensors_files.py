"""Reads the header of a safetensors file and checks that it fits the bytes that follow."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from audits.suspects.errors import FormatError

MAX_HEADER = 50 * 2**20
MAX_TENSORS = 200_000
_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file's first bytes are those of safetensors: a length, then a JSON object."""
    return len(head) >= 10 and head[8:9] == b"{" and struct.unpack_from("<Q", head)[0] <= size - 8


def check_safetensors(path: Path) -> int:
    """Check the header of a safetensors file against its length; returns the number of tensors.

    Raises ``FormatError`` for a header that is damaged, too long or does not cover the file's bytes exactly.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0]
        if length > min(MAX_HEADER, size - 8):
            raise FormatError("The header of this safetensors file is too long or cut off.")
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError) as error:
            raise FormatError("The header of this safetensors file is damaged.") from error
    if not isinstance(header, dict):
        raise FormatError("The header of this safetensors file is damaged.")
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MAX_TENSORS:
        raise FormatError("This safetensors file holds no tensors, or far too many.")
    reached = 0
    for begin, end in sorted(_span(name, entry) for name, entry in header.items()):
        if begin != reached:
            raise FormatError("The tensors in this safetensors file overlap or leave gaps.")
        reached = end
    if reached != size - 8 - length:
        raise FormatError("This safetensors file is cut off or has bytes left over. Upload it again.")
    return len(header)


def _span(name: str, entry: Any) -> tuple[int, int]:
    try:
        width = _WIDTHS[entry["dtype"]]
        shape = [int(side) for side in entry["shape"]]
        begin, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"The tensor “{name[:80]}” in this file has a type or shape that is not supported."
        ) from error
    if min((*shape, begin), default=0) < 0 or math.prod(shape) * width != end - begin:
        raise FormatError(f"The tensor “{name[:80]}” in this file does not fit its own shape.")
    return begin, end
