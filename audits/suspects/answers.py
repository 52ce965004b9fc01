"""What goes into a suspect and what comes out of it, on both sides of the pipe. No torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Limits:
    """Bounds of one child process: bytes, seconds, and counts."""

    memory_bytes: int = 12 * 2**30  # address space (without a GPU) and resident memory
    cpu_seconds: int = 12 * 3600  # processor time of all its threads together
    file_bytes: int = 16 * 2**20  # largest file it may write
    load_seconds: float = 600.0  # how long one step may take before the child is ended
    answer_seconds: float = 900.0
    weights_bytes: int = 20 * 2**30  # largest file of weights
    image_bytes: int = 4 * 2**30  # images it holds at a time
    answer_bytes: int = 512 * 2**20  # one answer
    threads: int = 1  # of its linear algebra
    batch: int = 64  # images per forward pass
    device: str = "auto"  # takes a GPU where there is one; or "cpu", "cuda"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answers:
    """Answers to B images: features (B, d) float32, probabilities (B, k) float32, hard labels (B,) int64.

    captions (B,) float32: cosines of the features with the embedding of the image's own caption, where captions were
    sent. What the spec does not return, or nobody asked for, is ``None``.
    """

    features: NDArray[np.float32] | None
    soft: NDArray[np.float32] | None
    hard: NDArray[np.int64] | None
    captions: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SuspectInfo:
    """What a loaded suspect is: input (channels, height, width), sizes of its answers, where it runs.

    ``network_namespace`` and ``file_wall`` say which walls stand besides the system call filter, which always does.
    """

    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    feature_size: int | None
    class_count: int | None
    parameters: int | None
    device: str
    network_namespace: bool
    file_wall: bool
    versions: dict[str, str]
    reads_captions: bool = False  # by a text tower of its own, whose features lie beside those of images

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that an audit may use."""
        labels = ("soft", "hard") if self.class_count else ()
        return (("features",) if self.feature_size else ()) + labels

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
