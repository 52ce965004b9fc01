"""Reads the pickles of a PyTorch file without running them: a few instructions and names, all else is refused.

The first door of three, cheap enough for the moment of upload; the second is ``torch.load(weights_only=True)``, the
third the confined child (docs/architecture.md, "Untrusted input").
"""

from __future__ import annotations

import io
import pickletools
from typing import IO

from audits.suspects.errors import FormatError

MAX_PICKLE = 64 * 2**20  # bytes of one pickle; tensors' numbers lie outside of it
MAX_READ = 2**20  # bytes of one operand
MAX_STEPS = 20_000_000

_STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
ALLOWED_NAMES = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch.nn.parameter Parameter",
        "torch Size",
        "torch device",
        "torch.storage UntypedStorage",
        *(f"torch {name}Storage" for name in _STORAGES),
        *(f"torch {name}" for name in _TYPES),
    }
)
# The instructions that torch's own restricted reader knows; notably none that names code by strings on the stack
# (STACK_GLOBAL), and none that builds objects of a class by other ways (INST, OBJ, NEWOBJ_EX, EXT).
ALLOWED_STEPS = frozenset(
    (
        "PROTO",
        "STOP",
        "GLOBAL",
        "REDUCE",
        "BUILD",
        "NEWOBJ",
        "MARK",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_TUPLE",
        "EMPTY_LIST",
        "EMPTY_DICT",
        "EMPTY_SET",
        "APPEND",
        "APPENDS",
        "SETITEM",
        "SETITEMS",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINSTRING",
        "BINPERSID",
        "BINGET",
        "LONG_BINGET",
        "BINPUT",
        "LONG_BINPUT",
        "LONG1",
    )
)


class _BoundedReader(io.RawIOBase):
    """A stream that refuses operands and pickles of absurd length instead of reading them into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_PICKLE

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > MAX_READ:
            raise FormatError("The pickle in this file holds an operand far too long for weights.")
        return self._counted(self._stream.read(size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._counted(self._stream.readline(1024))

    def tell(self) -> int:
        return MAX_PICKLE - self._left

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise FormatError("The pickle in this file is far too long for a list of weights.")
        return data


def check_pickle(stream: IO[bytes]) -> None:
    """Walk one pickle of ``stream`` up to its end and leave the stream there.

    Raises ``FormatError`` where it names anything but tensors and containers, or cannot be read.
    """
    try:
        for count, (step, argument, _) in enumerate(pickletools.genops(_BoundedReader(stream))):  # type: ignore[arg-type]
            if count > MAX_STEPS:
                raise FormatError("The pickle in this file is far too long for a list of weights.")
            if step.name == "GLOBAL" and argument not in ALLOWED_NAMES:
                name = str(argument).replace(" ", ".")[:120]
                raise FormatError(
                    f"This file asks Python to call “{name}”. Files that can run code are refused: save only the "
                    "state dict, model.state_dict(), best as safetensors."
                )
            if step.name not in ALLOWED_STEPS:
                raise FormatError(
                    f"This file holds the pickle instruction {step.name}, which plain weights never need and code "
                    "may. Save the state dict anew, best as safetensors."
                )
    except FormatError:
        raise
    except (ValueError, EOFError, UnicodeDecodeError, OverflowError) as error:
        raise FormatError(
            "This file begins like a PyTorch file but cannot be read as one; it may be cut off."
        ) from error
