"""The connection test: does the model open and answer, in which shapes, how fast. It sees noise, never a probe."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audits.suspects.answers import Limits
from audits.suspects.errors import SuspectError
from audits.suspects.identity import Identity
from audits.suspects.sandbox import SandboxedModel
from audits.suspects.spec import ModelSpec

NOISE_SEED = 20_001  # public and fixed: the noise has nothing to do with any key
ROUNDS = 5


@dataclass(frozen=True)
class ConnectionReport:
    """Result of a connection test.

    Attributes:
        input_shape: (channels, height, width). feature_size, class_count: widths of the answers, or ``None``.
        levels: levels that an audit may use.
        load_seconds: from start to the first answer.
        images_per_second: median over the timed rounds, images already on the device.
        repeats_exactly: whether the same images got the same answers twice, bit for bit.
        identity: by what it is known again; stored apart from the rest.
    """

    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    feature_size: int | None
    class_count: int | None
    levels: tuple[str, ...]
    parameters: int | None
    device: str
    versions: dict[str, str]
    load_seconds: float
    images_per_second: float
    images_asked: int
    repeats_exactly: bool
    identity: Identity
    reads_captions: bool = False  # its file holds a text tower

    def to_json(self) -> dict[str, Any]:
        told = {name: list(item) if isinstance(item, tuple) else item for name, item in asdict(self).items()}
        del told["identity"]
        return told


def check_connection(
    spec: ModelSpec,
    weights_path: Path,
    limits: Limits | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> ConnectionReport:
    """Open the model, ask it about noise images, and tell what came back.

    ``progress(done, total, phase)`` is called between the steps and may raise to stop. Raises ``SuspectError``.
    """
    limits = limits or Limits()
    tell = progress or (lambda done, total, phase: None)
    steps = ROUNDS + 2
    tell(0, steps, "opening the model")
    started = time.perf_counter()
    with SandboxedModel(spec, weights_path, limits) as suspect:
        load_seconds = time.perf_counter() - started
        info = suspect.info
        noise = np.random.default_rng(NOISE_SEED).integers(
            0, 256, (limits.batch, info.input_shape[1], info.input_shape[2], 3), dtype=np.uint8
        )
        suspect.load_images("noise", noise)
        tell(1, steps, "asking about noise images")
        every = np.arange(len(noise))
        first = suspect.answer("noise", every)
        speeds, exact, asked = [], True, len(noise)
        for round_number in range(ROUNDS):
            tell(2 + round_number, steps, "measuring the speed")
            begun = time.perf_counter()
            again = suspect.answer("noise", every)
            speeds.append(len(noise) / max(time.perf_counter() - begun, 1e-9))
            asked += len(noise)
            exact = exact and all(
                one is None or two is None or np.array_equal(one, two)
                for one, two in ((first.features, again.features), (first.soft, again.soft), (first.hard, again.hard))
            )
        identity = suspect.identify()
        _refuse_constant(first.features if first.features is not None else first.soft)
    tell(steps, steps, "done")
    return ConnectionReport(
        info.input_shape, info.mean, info.deviation, info.feature_size, info.class_count, info.levels, info.parameters,
        info.device, info.versions, round(load_seconds, 2), round(statistics.median(speeds), 2), asked, exact, identity,
        info.reads_captions,
    )  # fmt: skip


def _refuse_constant(rows: np.ndarray | None) -> None:
    if rows is not None and len(rows) > 1 and np.ptp(rows, axis=0).max() == 0:
        raise SuspectError("model", "The model gives every image the same answer; its weights are probably damaged.")
