"""Opening a model in its confined process: forked from a server that has torch, against one started for it alone.

    python -m tests.benchmarks.opening_speed [--rounds 5]

A small network, from nothing to its first answer. Taken in turns; seconds on the clock, median of the rounds.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from audits.suspects import ModelSpec
from audits.suspects.forked import end_server
from audits.suspects.sandbox import SandboxedModel
from audits.suspects.small_resnet import SmallResNet

SPEC = ModelSpec("small_resnet:8:1-1", ("features",), input_size=24)
IMAGES = np.zeros((4, 24, 24, 3), dtype=np.uint8)


def wall(weights: Path) -> float:
    """Seconds from nothing to an answer."""
    started = os.times().elapsed
    with SandboxedModel(SPEC, weights) as suspect:
        suspect.load_images("probes", IMAGES)
        suspect.answer("probes", range(4))
    return os.times().elapsed - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.manual_seed(1)
    tensors = {name: value.contiguous() for name, value in SmallResNet(8, (1, 1), 6).state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "suspect.safetensors"
        weights.write_bytes(save(tensors))
        alone, forked = [], []
        for _ in range(rounds):
            end_server()
            alone.append(wall(weights))
            forked.append(wall(weights))
    first, later = statistics.median(alone), statistics.median(forked)
    print(f"alone {first:.2f} s, forked {later:.2f} s: {first / later:.1f} times as fast")
    print("alone", *(f"{seconds:.2f}" for seconds in alone), "| forked", *(f"{seconds:.2f}" for seconds in forked))


if __name__ == "__main__":
    main()
