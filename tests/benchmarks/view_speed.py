"""How long an audit of images at home takes against bare forward passes of the same network over as many views.

Audit: all alternatives sent to the sandbox, views made there, answers brought back and stored per block, all levels
scored and judged. Bare: as in `audit_speed`, a plain loop over ready tensors. Processor time of both processes says
on a busy machine what wall time says on an idle one.

Run: python -m tests.benchmarks.view_speed [architecture] [images] [rounds] [--views 10]
     (goal: ratio <= 1.05, the bare loop given the memory setting of the confined process:
     MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456 before the command)
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from audits.asking.measuring import measure
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.judging.assignments import Rules
from audits.judging.choices import Choices, judge_choice, wrong_choice
from audits.judging.membership import membership_levels
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from audits.statistics.permutation import philox_from
from audits.suspects import Limits, ModelSpec, SandboxedModel
from tests.benchmarks.audit_speed import bare_passes, report, since, used, weights_of

BLOCK = 4


def audit(session: SandboxedModel, question: ViewQuestion) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        start = used()
        measure(question, Path(folder), session, lambda images: None)
        scored, _ = membership_levels(ViewAnswers(Path(folder), len(question.images)))
        blocks = len(question.images) // BLOCK
        choice = Blocks(np.repeat(np.arange(blocks), BLOCK), np.arange(blocks) * BLOCK)
        covariates = picture_covariates(question.images[i : i + 256] for i in range(0, len(question.images), 256))
        choices = Choices(choice, wrong_choice(choice, "ab", "r"), covariates)
        for level, scores in scored.items():
            judge_choice(level, scores, {}, choices, Rules("ab" * 32, "features", 0.01, 1000, False), "r")
        return since(start)


def main() -> None:
    parser = argparse.ArgumentParser(description="An audit of images at home against bare forward passes.")
    parser.add_argument("architecture", nargs="?", default="cifar_resnet:20")
    parser.add_argument("images", nargs="?", type=int, default=4000)
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--views", type=int, default=10)
    asked = parser.parse_args()
    threads = int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0))))
    with tempfile.TemporaryDirectory() as place:
        weights = weights_of(asked.architecture, Path(place))
        spec, limits = (
            ModelSpec(asked.architecture, ("features", "soft", "hard")),
            Limits(threads=threads, device="cpu"),
        )
        with SandboxedModel(spec, weights, limits) as session:
            size = session.info.input_shape[1]
            images = np.random.default_rng(0).integers(0, 256, (asked.images, size, size, 3), dtype=np.uint8)
            drawn = drawn_views(ViewSettings(asked.views), philox_from("benchmark", "views"))
            question = ViewQuestion("benchmark", images, applied(drawn, size))
            bare = bare_passes(spec, weights, question.forward_passes, limits.batch, threads)
            bare(), audit(session, question)  # both are warm
            print(f"{asked.architecture}, {asked.images} images in {asked.views} views, {threads} threads")
            report([(bare(), audit(session, question)) for _ in range(asked.rounds)])


if __name__ == "__main__":
    main()
