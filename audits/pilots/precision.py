"""In which precision this machine trains at speed; apart from what is trained, whose libraries take seconds to load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def bfloat16_is_fast(device: torch.device | None = None) -> bool:
    """Whether the device, by default the one that trainings here take, multiplies in bfloat16.

    Where it does not, torch emulates it: right, and many times slower than single precision.
    """
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device is None else device.type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return multiplies_bfloat16(torch.cpu.get_capabilities())


def multiplies_bfloat16(capabilities: Mapping[str, Any]) -> bool:
    """By what torch says of a processor: `avx512_bf16`, `amx_bf16`, ARM's `bf16` and `sve_bf16` …"""
    return any("bf16" in name and have is True for name, have in capabilities.items())
