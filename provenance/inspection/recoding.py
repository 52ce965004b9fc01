"""What coding a JPEG again with its own tables changes, and how its coefficients are distributed.

Double compression shows there: after Popescu and Farid (2004) in zeros and small values of coefficients, after Fu, Shi
and Su (2007) in their first digits, and in the steps at the borders of blocks.
"""

import io

import numpy as np
from PIL import Image

from provenance.embedding.jpeg.entropy import read_picture
from provenance.embedding.jpeg.structure import parse
from provenance.inspection.features import Features, Rooms

_DIGITS = np.array([int(str(value)[0]) for value in range(1 << 15)])  # first digit of a coefficient's size


def recoding_features(data: bytes) -> Rooms:
    """How the scans were coded, what changes, and shares of coefficients. Raises NotMarkableError for other scans."""
    picture = read_picture(data, parse(data))
    tables = {number for scan in picture.scans for number in scan.grid.tables}
    planes = [plane.blocks(picture.coefs)[: plane.high, : plane.wide] for plane in picture.planes]
    fitted = f"{len(picture.fitted)} of {len(tables)}"
    shares: Features = {}
    for name, blocks in zip(("first plane", "other planes"), (planes[:1], planes[1:]), strict=True):
        if blocks:
            shares |= {f"{key} of {name}": value for key, value in _distribution(blocks).items()}
    coding: Features = {"Huffman tables fitted to the picture": fitted, "padding": str(picture.pad)}
    return {"structure": coding, "bytes": _changed(planes, _coded_again(data)), "pictures": shares}


def _changed(planes: list[np.ndarray], coded: bytes) -> Features:
    again = read_picture(coded, parse(coded))
    features: Features = {}
    for number, (before, plane) in enumerate(zip(planes, again.planes, strict=True), 1):
        after = plane.blocks(again.coefs)[: plane.high, : plane.wide]
        if after.shape == before.shape:
            differs = before != after
            features[f"coefficients that change in plane {number}"] = float(differs.mean())
            features[f"blocks that change in plane {number}"] = float(differs.any(axis=-1).mean())
    return features


def _coded_again(data: bytes) -> bytes:
    """The decoded pixels with the same tables, and the same sampling where the encoder knows it."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        as_rgb = image.mode == "RGB" and image.info.get("adobe_transform") == 0
        image.save(buffer, "JPEG", quality="keep", keep_rgb=as_rgb)
    return buffer.getvalue()


def _distribution(planes: list[np.ndarray]) -> Features:
    """Of all coefficients but the blocks' means, as shares."""
    size = np.abs(np.concatenate([blocks.reshape(-1, 64)[:, 1:].reshape(-1) for blocks in planes]).astype(np.int32))
    above = size[size > 0]
    digits = np.bincount(_DIGITS[above], minlength=10) / max(len(above), 1)
    features: Features = {"zeros": float((size == 0).mean()), "ones": float((size == 1).mean())}
    return features | {f"first digit {digit}": float(digits[digit]) for digit in range(1, 10)}


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
