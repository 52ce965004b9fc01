"""Small pictures for pages, drawn from untrusted files by a child process with the decoder's limits."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .decoding import MEMORY, SECONDS, allow_seconds, child_environment, limit_process
from .grey import eight_bits
from .images import FORMATS, PIXEL_CAP

_BATCH = 24


def draw(paths: Sequence[Path], size: int) -> list[bytes | None]:
    """A WebP of at most ``size`` pixels a side for each file, upright by its EXIF; None where it cannot be decoded."""
    pictures: list[bytes | None] = []
    while len(pictures) < len(paths):
        batch = paths[len(pictures) : len(pictures) + _BATCH]
        drawn = _draw_batch(batch, size)
        pictures += drawn
        if len(drawn) < len(batch):  # the child died of the next one
            pictures.append(None)
    return pictures


def _draw_batch(paths: Sequence[Path], size: int) -> list[bytes | None]:
    request = json.dumps({"size": size, "paths": [os.fspath(path) for path in paths]})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "provenance.intake.thumbnails"],
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            cwd="/",
            timeout=SECONDS * (len(paths) + 1),
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as error:
        done = error.stdout or b""
    return [base64.b64decode(line) or None for line in done.split(b"\n")[:-1]]


def _thumbnail(path: str, size: int) -> bytes:
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as image:
        if image.width * image.height > PIXEL_CAP:
            return b""
        image.draft("RGB", (size, size))  # JPEG decodes straight to a smaller size
        small = eight_bits(image)
        small.thumbnail((size, size))
        upright = ImageOps.exif_transpose(small)
        plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    buffer = io.BytesIO()
    plain.save(buffer, "WEBP", quality=85, method=2)
    return buffer.getvalue()


def main() -> None:
    """One JSON request on standard input; a line of base64 per picture, empty where there is none."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 - loaded before the limits

    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # our own cap is asked first
    request = json.loads(sys.stdin.buffer.read())
    limit_process(MEMORY)
    for path in request["paths"]:
        allow_seconds(SECONDS)
        try:
            picture = _thumbnail(path, request["size"])
        except Exception:  # whatever a decoder makes of a broken file: there is no picture then
            picture = b""
        sys.stdout.buffer.write(base64.b64encode(picture) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
