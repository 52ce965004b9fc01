"""What asking a model in its confined process costs against bare forward passes of the same images, as ratios.

    python tests/benchmarks/suspect_speed.py [images] [architecture]

Prints, for one thread: the confined process against the bare network (clean and marked), and bfloat16 and channels-last
against the default.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from audits.suspects import AppliedMark, Limits, ModelSpec, SandboxedModel
from audits.suspects.architectures import build
from provenance.marks import MarkSettings, family_for

ROUNDS = 5


def seconds(action: Callable[[], object]) -> float:
    action()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    name = sys.argv[2] if len(sys.argv) > 2 else "timm:resnet18"
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    weights = folder / "weights.safetensors"
    network = timm.create_model(name.partition(":")[2], num_classes=10)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, weights)
    spec, limits = ModelSpec(name, returns=("features", "soft"), input_size=96), Limits(threads=1, device="cpu")
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
    settings = MarkSettings(groups=("a", "b", "c", "d"))
    mark = AppliedMark(settings.to_json(), family_for(settings).patterns(rng, 1), rng.random((count, 2)))
    encoder = build(spec, weights, torch.device("cpu"))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()

    def bare() -> None:
        with torch.inference_mode():
            for block in pixels.split(limits.batch):
                encoder.ask(block)

    base = seconds(bare)
    print(f"bare forward passes          {count / base:8.1f} images/s")
    every = np.arange(count)
    for title, changed in (
        ("confined", {}),
        ("confined, bfloat16", {"precision": "bfloat16"}),
        ("confined, channels last", {"channels_last": True}),
    ):
        told = ModelSpec.from_json({**spec.to_json(), **changed})
        with SandboxedModel(told, weights, limits) as suspect:
            suspect.load_images("probes", images)
            clean = seconds(lambda suspect=suspect: suspect.answer("probes", every))
            marked = seconds(lambda suspect=suspect: suspect.answer("probes", every, mark))
        print(f"{title:28} {count / clean:8.1f} images/s, time x {clean / base:.3f}; marked x {marked / base:.3f}")


if __name__ == "__main__":
    main()
