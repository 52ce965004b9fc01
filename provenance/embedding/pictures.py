"""Original, marked and difference pictures for the owner's gallery, drawn by a child with the decoder's limits."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.intake.decoding import MEMORY, SECONDS, allow_seconds, child_environment, limit_process
from provenance.intake.grey import eight_bits
from provenance.intake.images import FORMATS, PIXEL_CAP

KINDS = ("original", "marked", "difference")
AMPLIFIED = 4  # times; mid-grey means no difference
LEAST, MOST = 192, 360  # pixels of the longer side as shown; small images are enlarged without smoothing


@dataclass(frozen=True)
class Pair:
    """An original file and its marked twin."""

    original: Path
    marked: Path


def draw(pairs: Sequence[Pair]) -> list[dict[str, bytes]]:
    """For each pair the three pictures of KINDS as WebP bytes; an empty dictionary where one cannot be decoded."""
    request = [[os.fspath(pair.original), os.fspath(pair.marked)] for pair in pairs]
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "provenance.embedding.pictures"],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
            cwd="/",
            timeout=SECONDS * (len(pairs) + 1),
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as error:
        answer = error.stdout or b""
    drawn = [_decoded(line) for line in answer.split(b"\n")[:-1]]
    return drawn + [{} for _ in range(len(pairs) - len(drawn))]


def _decoded(line: bytes) -> dict[str, bytes]:
    return {kind: base64.b64decode(text) for kind, text in json.loads(line).items()}


def _pictures(original: str, marked: str) -> dict[str, bytes]:
    from PIL import Image, ImageChops, ImageOps

    shown = []
    for path in (original, marked):
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > PIXEL_CAP:
                return {}
            shown.append(eight_bits(ImageOps.exif_transpose(image)).convert("RGB"))
    before, after = shown
    if before.size != after.size:
        return {}
    size = _shown_size(*before.size)
    up, down = Image.Resampling.NEAREST, Image.Resampling.BOX
    before, after = (image.resize(size, up if size[0] > image.width else down) for image in shown)
    # (after - before) / scale + 128, clipped: ImageChops has it in C.
    difference = ImageChops.subtract(after, before, scale=1 / AMPLIFIED, offset=128)
    return {kind: _webp(image) for kind, image in zip(KINDS, (before, after, difference), strict=True)}


def _shown_size(width: int, height: int) -> tuple[int, int]:
    longer = max(width, height)
    if longer <= MOST:
        times = max(1, -(-LEAST // longer))
        return width * times, height * times
    return max(1, width * MOST // longer), max(1, height * MOST // longer)


def _webp(image: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=92, method=2)  # type: ignore[attr-defined]
    return buffer.getvalue()


def main() -> None:
    """One JSON request on standard input; a JSON line of base64 pictures per pair."""
    from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 - loaded before the limits

    Image.preinit()
    Image.MAX_IMAGE_PIXELS = None  # our own cap is asked first
    request = json.loads(sys.stdin.buffer.read())
    limit_process(MEMORY)
    for original, marked in request:
        allow_seconds(SECONDS)
        try:
            pictures = _pictures(original, marked)
        except Exception:  # whatever a decoder makes of a broken file: there is no picture then
            pictures = {}
        line = json.dumps({kind: base64.b64encode(data).decode() for kind, data in pictures.items()})
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
