"""Reads weights from files and puts them into networks, strictly. Imported in the child only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from audits.suspects import formats
from audits.suspects.errors import SuspectError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")

Tensors = dict[str, Tensor]


def read_tensors(path: Path, kind: str) -> Tensors:
    """The named tensors of a safetensors file or state dict, without wrappers' prefixes.

    Raises ``SuspectError`` (weights) where the file holds anything else, or numbers that are not finite.
    """
    if kind == formats.SAFETENSORS:
        try:
            tensors = load_file(path)
        except Exception as error:
            raise SuspectError("weights", "This safetensors file cannot be read.", repr(error)) from error
    else:
        tensors = _unwrapped(_restricted_load(path))
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            sentence = f"The weights hold values that are not numbers (in “{name[:80]}”), so no answer would count."
            raise SuspectError("numbers", sentence)
    return _without_prefix(tensors)


def _restricted_load(path: Path) -> Any:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except MemoryError:
        raise
    except Exception as error:
        sentence = "This file cannot be opened as plain weights. Save model.state_dict(), best as safetensors."
        raise SuspectError("weights", sentence, repr(error)) from error


def _unwrapped(value: Any) -> Tensors:
    """The mapping of names to tensors, which checkpoints keep under a word of their own."""
    if isinstance(value, Mapping):
        for word in _WRAPPERS:
            inner = value.get(word)
            if isinstance(inner, Mapping) and inner:
                value = inner
                break
        if value and all(isinstance(name, str) and isinstance(item, Tensor) for name, item in value.items()):
            return {name: item.detach() for name, item in value.items()}
    raise SuspectError("weights", "This file holds no state dict: a mapping of names to tensors was expected.")


def _without_prefix(tensors: Tensors) -> Tensors:
    """Drop what wrappers such as DataParallel put in front of every name."""
    for prefix in _PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def classes_in(tensors: Tensors, heads: Iterable[str]) -> int | None:
    """Outputs of the first head that the weights hold, or ``None`` where they hold none."""
    for head in heads:
        weight = tensors.get(f"{head}.weight")
        if weight is not None and weight.ndim >= 2:
            return int(weight.shape[0])
    return None


def fill(network: nn.Module, tensors: Tensors, architecture: str) -> None:
    """Load ``tensors`` into ``network``: every name and shape must fit, or ``SuspectError`` names the first misfits."""
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    extra = [name for name in tensors if name not in wanted]
    misfit = [name for name in wanted if name in tensors and wanted[name].shape != tensors[name].shape]
    if missing or extra or misfit:
        parts = []
        if missing:
            parts.append(f"{len(missing)} tensors are missing ({_named(missing)})")
        if extra:
            parts.append(f"{len(extra)} are not part of it ({_named(extra)})")
        if misfit:
            name = misfit[0]
            have, want = tuple(tensors[name].shape), tuple(wanted[name].shape)
            parts.append(f"{len(misfit)} have another shape ({name}: {have} in the file, {want} expected)")
        raise SuspectError(
            "weights",
            f"These weights do not fit {architecture}: {'; '.join(parts)}. Check the architecture and its variant.",
            f"missing={missing[:50]} unexpected={extra[:50]} misfit={misfit[:50]}",
        )
    network.load_state_dict(tensors, strict=False)


def _named(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (" …" if len(names) > count else "")
