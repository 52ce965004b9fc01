"""What goes out to a suspect's process, checked on this side. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.suspects.errors import SuspectError

_CHUNK_BYTES = 64 * 2**20


def numbers_of(values: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    numbers = np.asarray(values, dtype=np.int64)
    if numbers.ndim != 1 or len(numbers) == 0:
        raise SuspectError("request", "Ask about at least one image.")
    return numbers


def check_mark(patterns: NDArray[Any], placements: NDArray[Any], count: int) -> None:
    if patterns.dtype != np.uint8 or patterns.ndim < 2 or len(patterns) not in (1, count):
        raise SuspectError("request", "A mark has one pattern for all images, or one for each.")
    if placements.ndim != 2 or placements.shape[1] != 2 or len(placements) not in (1, count):
        raise SuspectError("request", "A mark has one place for all images, or one for each.")
    if not (np.isfinite(placements).all() and (placements >= 0).all() and (placements < 1).all()):
        raise SuspectError("request", "Places are fractions from 0 up to, but not including, 1.")


def blocks_of(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Split images into arrays (n, H, W, 3) of bounded size; neighbours of one size travel together."""
    if isinstance(images, np.ndarray):
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise SuspectError("request", "Images come as an array (N, H, W, 3) of bytes.")
        step = max(1, _CHUNK_BYTES // max(1, int(np.prod(images.shape[1:]))))
        yield from (images[start : start + step] for start in range(0, len(images), step))
        return
    run: list[NDArray[np.uint8]] = []
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise SuspectError("request", "Every image is an array (H, W, 3) of bytes.")
        if run and (run[0].shape != image.shape or (len(run) + 1) * image.size > _CHUNK_BYTES):
            yield np.stack(run)
            run = []
        run.append(image)
    if run:
        yield np.stack(run)


def texts_of(captions: Sequence[str]) -> NDArray[np.uint8]:
    """Captions as the bytes of their JSON, which may be longer than a header."""
    return np.frombuffer(json.dumps(list(captions)).encode(), np.uint8)
