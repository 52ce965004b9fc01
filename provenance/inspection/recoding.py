"""What coding a JPEG's luminance again with its own table changes, and how its coefficients are distributed.

Double compression shows there: after Popescu and Farid (2004) zeros and small values of coefficients, after Fu, Shi and
Su (2007) their first digits, and the steps at the borders of blocks.
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.fft import dctn

from provenance.inspection.features import Features

_ROWS = 512  # of a band: large images need no more memory than small ones; a multiple of the block's eight


def recoding_features(data: bytes) -> Features:
    """Shares over all coefficients of whole blocks but the means. Empty for pictures without a whole block."""
    plane, table = luminance(data)
    if min(plane.shape) < 8:
        return {}
    again = io.BytesIO()
    Image.fromarray(plane).save(again, "JPEG", qtables=[table.astype(int).reshape(-1).tolist()])
    second, _ = luminance(again.getvalue())
    digits, total, changed, blocks_changed, zeros, ones = np.zeros(10), 0, 0, 0, 0, 0
    for before, after in zip(coefficients(plane, table), coefficients(second, table), strict=True):
        apart = before != after
        changed += int(apart.sum())
        blocks_changed += int(apart.any(axis=(1, 2)).sum())
        size = np.abs(before.reshape(len(before), 64)[:, 1:])
        total += size.size
        zeros, ones = zeros + int((size == 0).sum()), ones + int((size == 1).sum())
        digits += np.bincount(_first_digit(size[size > 0]), minlength=10)
    features: Features = {
        "coefficients that change": changed / total,
        "blocks that change": blocks_changed * 63 / total,
        "zeros": zeros / total,
        "ones": ones / total,
    }
    for digit in range(1, 10):
        features[f"first digit {digit}"] = digits[digit] / max(digits.sum(), 1)
    return features


def luminance(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The first component as decoded, (H, W) uint8, and its quantisation table, (8, 8)."""
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        image.draft("L", image.size)
        number = image.layer[0][3]  # type: ignore[attr-defined]
        table = np.array(image.quantization[number], np.float32)  # type: ignore[attr-defined]
        plane = np.asarray(image)
    return plane if plane.ndim == 2 else np.ascontiguousarray(plane[:, :, 0]), table.reshape(8, 8)


def coefficients(plane: np.ndarray, table: np.ndarray) -> Iterator[np.ndarray]:
    """(blocks, 8, 8) int of whole blocks, quantised; some rows of blocks at a time."""
    height, width = plane.shape[0] // 8 * 8, plane.shape[1] // 8 * 8
    for top in range(0, height, _ROWS):
        band = plane[top : min(top + _ROWS, height), :width].astype(np.float32) - 128
        blocks = band.reshape(-1, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
        yield np.rint(dctn(blocks, axes=(1, 2), norm="ortho") / table).astype(np.int32)


def blockiness(image: Image.Image) -> Features:
    """Mean step across the borders of 8 x 8 blocks over the mean step elsewhere, both ways. image: decoded."""
    grey = np.asarray(image.convert("L"), np.int16)
    if min(grey.shape) < 16:
        return {}
    ratios = []
    for plane in (grey, grey.T):
        steps = np.abs(np.diff(plane, axis=0)).mean(axis=1)
        at_border = np.arange(1, len(plane)) % 8 == 0
        ratios.append((steps[at_border].mean() + 0.1) / (steps[~at_border].mean() + 0.1))
    return {"steps at block borders": float(np.mean(ratios))}


def _first_digit(values: np.ndarray) -> np.ndarray:
    return (values // 10 ** np.floor(np.log10(values) + 1e-9).astype(np.int64)).astype(np.int64)
