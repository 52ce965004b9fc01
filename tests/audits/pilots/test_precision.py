"""Which precision a processor computes in at speed."""

import pytest
import torch

from audits.pilots.precision import bfloat16_is_fast, multiplies_bfloat16


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False, "architecture": "x86_64"}, False),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"neon": True, "bf16": True, "architecture": "aarch64"}, True),
        ({"neon": True, "bf16": False}, False),
    ],
)
def test_bfloat16_is_fast_where_the_processor_multiplies_in_it(capabilities, expected):
    assert multiplies_bfloat16(capabilities) is expected


def test_this_processor_is_asked_itself():
    assert bfloat16_is_fast(torch.device("cpu")) is multiplies_bfloat16(torch.cpu.get_capabilities())
