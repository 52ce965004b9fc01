"""How long one audit takes against bare forward passes of the same network over the same number of images.

Audit: probes and group images sent to the sandbox, marks applied there, answers brought back and stored per block,
all levels scored, a million permutations drawn meanwhile. Bare: the same network in a plain loop over ready tensors
in this process, with the same batch size and threads, keeping nothing. Loading the network is left out of both. Wall
time means something on an idle machine only, or with real-time priority (`chrt -f 1` before the command); on a busy
one processor time of both processes together tells what is computed.

Run: python -m tests.benchmarks.audit_speed [architecture] [probes] [rounds] [--family patch] [--per-group 50]
    [--permutations 1000000]
(goal: ratio <= 1.05, the bare loop given the memory setting of the confined process, as in `view_speed`; the family is
patch unless named, or "all" for one after the other)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from audits.asking.measuring import Marks, Question, measure
from audits.judging.assignments import Rules, Secrets, begin_draws, judge_level
from audits.judging.scoring import score_levels
from audits.statistics.draws import Draws
from audits.suspects import Limits, ModelSpec, SandboxedModel
from provenance.marks import MarkSecret, MarkSettings, families

GROUPS = tuple(f"group {number}" for number in range(10))


def question_of(size: int, probes: int, family: str, per_group: int) -> tuple[Question, MarkSecret]:
    rng = np.random.default_rng(0)
    secret = MarkSecret.derive(rng.bytes(32), rng.bytes(32), MarkSettings(groups=GROUPS, family=family))
    marks = Marks(secret.settings.to_json(), secret.patterns, rng.random((probes, 2)))
    images = rng.integers(0, 256, (probes + per_group * len(GROUPS), size, size, 3), dtype=np.uint8)
    group_of = np.repeat(np.arange(len(GROUPS)), per_group)
    return Question("benchmark", images[:probes], images[probes:], group_of, marks), secret


def used() -> tuple[float, float]:
    """Wall time, and processor time of this process and of the sandbox."""
    every = [psutil.Process(), *psutil.Process().children(recursive=True)]
    times = [process.cpu_times() for process in every]
    return time.perf_counter(), sum(spent.user + spent.system for spent in times)


def since(start: tuple[float, float]) -> tuple[float, float]:
    now = used()
    return now[0] - start[0], now[1] - start[1]


def audit(session: SandboxedModel, question: Question, secret: MarkSecret, permutations: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        start, secrets = used(), Secrets(secret.assignment)
        rules = Rules("ab" * 32, "features", 0.01, permutations, False)
        with Draws(rules.seed) as draws:
            begin_draws(draws, session.info.levels, secrets, rules, "r", references=False)
            answers = measure(question, Path(folder), session, lambda images: None)
            scored, _ = score_levels(answers, len(GROUPS), question.group_of)
            for level, scores in scored.items():
                judge_level(level, scores, {}, secrets, rules, "r", draws)
        return since(start)


def bare_passes(spec: ModelSpec, weights: Path, images: int, batch: int, threads: int):
    import torch

    from audits.suspects.architectures import build

    torch.set_num_threads(threads)
    encoder = build(spec, weights, torch.device("cpu"), threads)
    block = torch.randint(0, 256, (batch, 3, encoder.input_size, encoder.input_size)).float()

    def run() -> tuple[float, float]:
        start = used()
        with torch.inference_mode():
            for first in range(0, images, batch):
                encoder.ask(block[: min(batch, images - first)])
        return since(start)

    return run


def weights_of(architecture: str, folder: Path) -> Path:
    from safetensors.torch import save_file

    if architecture.startswith("timm:"):
        import timm

        network = timm.create_model(architecture.removeprefix("timm:"))
    else:
        from audits.suspects.cifar_resnet import CifarResNet

        network = CifarResNet(int(architecture.partition(":")[2]))
    path = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return path


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Audit against bare forward passes.")
    parser.add_argument("architecture", nargs="?", default="cifar_resnet:20")
    parser.add_argument("probes", nargs="?", type=int, default=300)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--family", choices=["all", *families()], default="patch")
    parser.add_argument("--per-group", type=int, default=50)
    parser.add_argument("--permutations", type=int, default=1_000_000, help="fewer in a trial with few images")
    return parser.parse_args()


def main() -> None:
    asked = read_arguments()
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    with tempfile.TemporaryDirectory() as place:
        weights = weights_of(asked.architecture, Path(place))
        spec = ModelSpec(asked.architecture, ("features", "soft", "hard"))
        limits = Limits(threads=threads, device="cpu")
        with SandboxedModel(spec, weights, limits) as session:
            for family in families() if asked.family == "all" else [asked.family]:
                question, secret = question_of(session.info.input_shape[1], asked.probes, family, asked.per_group)
                images = question.forward_passes
                bare = bare_passes(spec, weights, images, limits.batch, threads)
                bare(), audit(session, question, secret, asked.permutations)  # both are warm
                pairs = [(bare(), audit(session, question, secret, asked.permutations)) for _ in range(asked.rounds)]
                print(f"{asked.architecture}, {family}, {images} images, {threads} threads")
                report(pairs)


def report(pairs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    for kind, name in enumerate(("wall", "processor")):
        plain, whole = [pair[0][kind] for pair in pairs], [pair[1][kind] for pair in pairs]
        median = statistics.median(w / p for w, p in zip(whole, plain, strict=True))
        print(f"{name} time: bare {min(plain):.2f} s, audit {min(whole):.2f} s, ratio of the fastest "
              f"{min(whole) / min(plain):.3f}, median ratio {median:.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
