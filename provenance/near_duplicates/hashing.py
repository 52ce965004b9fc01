"""Perceptual hashes of untrusted files, computed by a child process with the decoder's limits.

Images are reduced to REDUCED pixels of the longer side first, as PDQ's authors do.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from provenance.intake.decoding import MEMORY, SECONDS, allow_seconds, child_environment, limit_process
from provenance.intake.images import FORMATS, PIXEL_CAP
from provenance.near_duplicates.pdq import pdq

if TYPE_CHECKING:
    from PIL import Image

REDUCED = 512  # pixels
# read: 0 where a file could not be decoded. pixels: digest of the reduced picture. bits: the hash, in four words.
RECORD = np.dtype([("read", "u1"), ("quality", "u1"), ("pixels", "<u8", (2,)), ("bits", "<u8", (4,))])
# There is a child for every processor; threads of their own for products this small would only wait for each other.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

Records = NDArray[Any]  # of RECORD


def hashed(paths: Sequence[Path]) -> Records:
    """(N,) RECORD, one for each file, in order."""
    records = np.zeros(0, dtype=RECORD)
    while len(records) < len(paths):
        records = np.concatenate([records, _asked(paths[len(records) :])])
        if len(records) < len(paths):  # the child died of the next one
            records = np.concatenate([records, np.zeros(1, dtype=RECORD)])
    return records


def _asked(paths: Sequence[Path]) -> Records:
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "provenance.near_duplicates.hashing"],
            input=json.dumps([os.fspath(path) for path in paths]).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment() | _ONE_THREAD,
            cwd="/",
            timeout=SECONDS * (len(paths) + 1),
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as error:
        answer = error.stdout or b""
    return np.frombuffer(answer[: len(answer) // RECORD.itemsize * RECORD.itemsize], dtype=RECORD)


# The child ------------------------------------------------------------------------------------------------------------


def record_of(path: str) -> Records:
    """() RECORD of the file at `path`; whatever the decoder makes of a broken file comes out of it."""
    from PIL import Image

    record = np.zeros((), dtype=RECORD)
    with Image.open(path, formats=FORMATS) as image:
        if image.width * image.height > PIXEL_CAP:
            return record
        image.draft("RGB", (REDUCED, REDUCED))  # JPEG decodes straight to a smaller size
        image.thumbnail((REDUCED, REDUCED))
        pixels = _colours(image)
    bits, quality = pdq(pixels)
    digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).digest()
    record["read"], record["quality"] = 1, quality
    record["pixels"] = np.frombuffer(digest, dtype="<u8")
    record["bits"] = np.packbits(bits).view("<u8")
    return record


def _colours(image: "Image.Image") -> NDArray[np.uint8]:
    """(H, W, 3) uint8. Pillow would clip grey of 16 bits at 255."""
    if not image.mode.startswith("I"):
        return np.asarray(image.convert("RGB"))
    grey = (np.asarray(image, dtype=np.int64).clip(0, 65535) // 257).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def main() -> None:
    """A JSON list of paths on standard input; a RECORD of each on standard output."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 - loaded before the limits

    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # our own cap is asked first
    paths = json.loads(sys.stdin.buffer.read())
    limit_process(MEMORY)
    for path in paths:
        allow_seconds(SECONDS)
        try:
            record = record_of(path)
        except Exception:  # whatever a decoder makes of a broken file: there is no hash then
            record = np.zeros((), dtype=RECORD)
        sys.stdout.buffer.write(record.tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
