"""A digest over the values of a model's tensors, whatever they are called. Imported in the child only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.suspects import formats
from audits.suspects.onnx_tensors import onnx_tensors
from audits.suspects.weights import read_tensors

DOMAIN = b"touchmark/1/tensors\0"
AT_ONCE = 2**22  # numbers
COUNTED = (torch.int8, torch.uint8)  # besides floating point: weights of eight bits


def tensor_digests(path: Path) -> list[bytes]:
    """SHA-256 of every distinct tensor, sorted; what only counts or points is left out.

    Neither names nor shapes, their order, a tensor kept twice or the width of a float go into them.
    """
    kind = formats.inspect(path).format
    tensors = onnx_tensors(path) if kind == formats.ONNX else map(_array, _trained(read_tensors(path, kind).values()))
    return sorted({_digest(tensor) for tensor in tensors})


def digest_over(tensors: Iterable[bytes]) -> str:
    """One SHA-256 over those of all tensors."""
    return hashlib.sha256(DOMAIN + b"".join(tensors)).hexdigest()


def _trained(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    return (tensor for tensor in tensors if tensor.is_floating_point() or tensor.dtype in COUNTED)


def _array(tensor: Tensor) -> NDArray[Any]:
    flat = tensor.contiguous().flatten()
    # NumPy knows no bfloat16; made wider it is what it was.
    return (flat.float() if flat.dtype == torch.bfloat16 else flat).numpy()


def _digest(values: NDArray[Any]) -> bytes:
    state = hashlib.sha256()
    for start in range(0, len(values), AT_ONCE):
        # Adding nothing makes the negative zero an ordinary one.
        state.update((values[start : start + AT_ONCE].astype("<f4") + np.float32(0)).tobytes())
    return state.digest()
