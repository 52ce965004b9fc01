"""Labels that nobody trained a pilot's models for: probes fitted to them show what depends on the downstream task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DEGREES = 3  # of brightness
FEWEST_CLASSES = 3  # of which two halves say something else than the classes


def task_labels(name: str, images: NDArray[np.uint8], labels: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """(k,) of images (k, S, S, 3) and their classes (k,); None where these images have no such labels."""
    if name == "brightness":
        light = images.mean(axis=(1, 2, 3))
        found = np.searchsorted(np.quantile(light, np.arange(1, DEGREES) / DEGREES), light).astype(np.int64)
        return found if len(np.unique(found)) > 1 else None
    if labels is None or len(np.unique(labels)) < FEWEST_CLASSES:
        return None
    return labels % 2
