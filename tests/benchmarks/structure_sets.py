"""Sets of files as owners have them, for the question whether marked ones can be told apart."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from provenance.embedding.jpeg.entropy import read_picture, write_picture
from provenance.embedding.jpeg.structure import parse
from tests.provenance.embedding.builders import as_bytes

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
EDGE = 128  # pixels of the crops of photographs that the generated sets are made of

Coder = Callable[[Image.Image, int], bytes]


def archived(name: str, count: int) -> list[bytes]:
    """`count` files, evenly spread over an archive; all of them where there are fewer."""
    with zipfile.ZipFile(DATA / name) as source:
        names = [one for one in source.namelist() if one.lower().endswith((".jpg", ".jpeg", ".png"))]
        count = min(count, len(names))
        return [source.read(names[int(number * len(names) / count)]) for number in range(count)]


def crops(count: int, edge: int = EDGE) -> list[Image.Image]:
    """Square parts of the photographs, halved in size so that no trace of their own coding is left in step."""
    pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in archived("photos.zip", 200)]
    rng, found = np.random.default_rng(20), []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        side = int(min(*picture.size, 2 * edge * rng.uniform(0.9, 1.1)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        found.append(picture.resize((edge, edge), Image.Resampling.LANCZOS, (left, top, left + side, top + side)))
    return found


def saved(kind: str, **options: object) -> Coder:
    """Pillow's encoder; the quality of lossy files changes from file to file, as in a collection."""

    def encode(image: Image.Image, number: int) -> bytes:
        varied = {"quality": (75, 85, 90, 95)[number % 4]} if kind == "JPEG" else {}
        return as_bytes(image, kind, **{**varied, **options})

    return encode


def png_of_torchvision(image: Image.Image, number: int) -> bytes:
    """libpng's own choice of filters, at another level than Pillow's."""
    import torch
    from torchvision.io import encode_png

    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return bytes(encode_png(pixels, compression_level=9).numpy())


def png_by_hand(image: Image.Image, number: int) -> bytes:
    """An encoder of its own: filter Up everywhere, level 8, IDAT of 4 KiB, a comment, zeros behind the end."""
    rows = np.asarray(image)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    coded = (rows - above).reshape(len(rows), -1)
    stream = zlib.compress(np.hstack([np.full((len(rows), 1), 2, np.uint8), coded]).tobytes(), 8)
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)
    pieces = [(b"IDAT", stream[at : at + 4096]) for at in range(0, len(stream), 4096)]
    chunks = [(b"IHDR", header), (b"tEXt", b"Software\0by hand"), *pieces, (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(one)) + kind + one + struct.pack(">I", zlib.crc32(kind + one)) for kind, one in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body + bytes(64)


def jpeg_440(image: Image.Image, number: int) -> bytes:
    """Colour at half the height, which Pillow does not write: the coefficients of the turned picture, turned back.

    A file of the right frame is made of one at half the width by naming its factors the other way round.
    """
    shape = saved("JPEG", subsampling="4:2:2")(image.resize((2 * image.width, image.height // 2)), number)
    frame = shape.index(b"\xff\xc0")
    sizes = struct.pack(">HH", image.height, image.width)
    shape = shape[: frame + 5] + sizes + shape[frame + 9 : frame + 11] + b"\x12" + shape[frame + 12 :]
    picture = read_picture(shape, parse(shape))
    tables = [np.array(steps).reshape(8, 8).T.reshape(-1).tolist() for steps in picture.structure.steps[:2]]
    turned = as_bytes(image.transpose(Image.Transpose.TRANSPOSE), "JPEG", qtables=tables, subsampling="4:2:2")
    source = read_picture(turned, parse(turned))
    coefs = picture.coefs.copy()
    for plane, other in zip(picture.planes, source.planes, strict=True):
        blocks = other.blocks(source.coefs)
        blocks = blocks.reshape(*blocks.shape[:2], 8, 8).transpose(1, 0, 3, 2)
        plane.blocks(coefs)[:] = blocks.reshape(*blocks.shape[:2], 64)
    return write_picture(picture, coefs, None)


CODERS: dict[str, Coder] = {
    "JPEG, standard tables": saved("JPEG"),
    "JPEG, optimised": saved("JPEG", optimize=True),
    "JPEG, progressive": saved("JPEG", progressive=True),
    "JPEG, restart markers": saved("JPEG", restart_marker_blocks=4),
    "JPEG, 4:4:0": jpeg_440,
    "JPEG, RGB": saved("JPEG", keep_rgb=True),
    "PNG, Pillow": saved("PNG"),
    "PNG, torchvision": png_of_torchvision,
    "PNG, by hand": png_by_hand,
    "WebP, lossy": saved("WEBP", quality=80),
    "WebP, lossless": saved("WEBP", lossless=True),
}
ARCHIVES = {"photographs": "photos.zip", "CIFAR-10": "cifar10.zip"}
SETS = (*ARCHIVES, *CODERS)


def files_of(name: str, count: int) -> list[bytes]:
    """Of one set, at most `count`, always the same."""
    if name in ARCHIVES:
        return archived(ARCHIVES[name], count)
    return [CODERS[name](image, number) for number, image in enumerate(crops(count))]
