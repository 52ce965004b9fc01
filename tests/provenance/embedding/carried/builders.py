"""Files with thumbnails and claims of every kind, put together byte by byte."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.provenance.embedding.builders import as_bytes, picture

SIZE = (320, 240)  # of the picture
PATCH = (slice(144, 192), slice(208, 272))  # where the mark lies in it: a fifth of its height from below
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def source_pixels(seed: int = 5) -> np.ndarray:
    return picture(seed, *SIZE)


def marked_pixels(seed: int = 5) -> np.ndarray:
    pixels = source_pixels(seed).copy()
    pixels[PATCH] = np.where(pixels[PATCH] > 127, 0, 255)
    return pixels


def shrunk(pixels: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """As a camera would make it, with another filter than ours."""
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def letterboxed(pixels: np.ndarray, size: tuple[int, int], colour: tuple[int, int, int] = (0, 0, 0)) -> Image.Image:
    """A 4:3 picture in a frame that is wider or higher, with bars."""
    scale = min(size[0] / SIZE[0], size[1] / SIZE[1])
    inside = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    whole = Image.new("RGB", size, colour)
    whole.paste(shrunk(pixels, inside), ((size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2))
    return whole


def thumbnail_jpeg(image: Image.Image, **options: object) -> bytes:
    return as_bytes(image, "JPEG", **{"quality": 75, **options})


def exif(
    thumb: bytes, order: str = "<", orientation: int = 1, behind: bytes = b"", maker: bytes = b"", length: int = 0
) -> bytes:
    """A TIFF with a note of its maker in the first directory and a JPEG thumbnail in the second, then `behind`."""
    entries = [(0x010F, 2, 8, b"@maker"), (0x0112, 3, 1, struct.pack(order + "HH", orientation, 0))]
    if maker:
        entries.append((0x927C, 7, len(maker), b"@note"))
    second_entries = [(0x0103, 3, 1, struct.pack(order + "HH", 6, 0)), (0x0201, 4, 1, b"@thumb")]
    second_entries.append((0x0202, 4, 1, struct.pack(order + "I", length or len(thumb))))
    first = 8
    second = first + 2 + 12 * len(entries) + 4
    at = second + 2 + 12 * len(second_entries) + 4
    places = {b"@maker": at, b"@note": at + 8, b"@thumb": at + 8 + len(maker)}

    def directory(rows, following: int) -> bytes:
        packed = struct.pack(order + "H", len(rows))
        for tag, kind, count, value in rows:
            value = struct.pack(order + "I", places[value]) if value in places else value
            packed += struct.pack(order + "HHI", tag, kind, count) + value
        return packed + struct.pack(order + "I", following)

    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    return head + directory(entries, second) + directory(second_entries, 0) + b"Camera\0\0" + maker + thumb + behind


def exif_of_strips(pixels: np.ndarray, order: str = ">", rows_per_strip: int = 50) -> bytes:
    """A TIFF whose second directory holds uncompressed pixels, (h, w, 3) or (h, w, 1), in strips."""
    height, width, channels = pixels.shape
    strips = [pixels[at : at + rows_per_strip].tobytes() for at in range(0, height, rows_per_strip)]
    count = len(strips)
    short = lambda value: struct.pack(order + "HH", value, 0)  # noqa: E731
    second, rows = 8 + 2 + 12 + 4, 9
    tables = second + 2 + 12 * rows + 4
    data = tables + 6 + 8 * count
    starts = np.cumsum([data, *map(len, strips)])[:-1].tolist()
    entries = [
        (0x0100, 3, 1, short(width)),
        (0x0101, 3, 1, short(height)),
        (0x0102, 3, channels, struct.pack(order + "I", tables) if channels == 3 else short(8)),
        (0x0103, 3, 1, short(1)),
        (0x0106, 3, 1, short(2 if channels == 3 else 1)),
        (0x0111, 4, count, struct.pack(order + "I", tables + 6 if count > 1 else starts[0])),
        (0x0115, 3, 1, short(channels)),
        (0x0116, 3, 1, short(rows_per_strip)),
        (0x0117, 4, count, struct.pack(order + "I", tables + 6 + 4 * count if count > 1 else len(strips[0]))),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    first = struct.pack(order + "HHHI", 1, 0x0112, 3, 1) + short(1) + struct.pack(order + "I", second)
    packed = struct.pack(order + "H", rows)
    packed += b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries) + bytes(4)
    listed = struct.pack(f"{order}3H{count}I{count}I", 8, 8, 8, *starts, *map(len, strips))
    return head + first + packed + listed + b"".join(strips)


def with_segments(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """A JPEG with more segments behind its start."""
    packed = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return data[:2] + packed + data[2:]


def without_jfif(data: bytes) -> bytes:
    """A JPEG as Pillow writes it, without its first segment."""
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks behind its header."""
    return data[:33] + b"".join(chunk(kind, body) for kind, body in chunks) + data[33:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    packed = b"".join(kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", len(packed) + 4) + b"WEBP" + packed


def photoshop(thumb: bytes, size: tuple[int, int], name: int = 1036, kind: int = 1) -> bytes:
    """An APP13 segment's bytes: a caption digest, a thumbnail, and another resource with a name."""
    row = (size[0] * 3 + 3) // 4 * 4
    body = struct.pack(">IIIIIIHH", kind, *size, row, row * size[1], len(thumb), 24, 1) + thumb
    resources = [(1061, b"\0\0", b"d" * 16), (name, b"\0\0", body), (1005, b"\3abc", b"odd")]
    packed = b"Photoshop 3.0\0"
    for number, called, content in resources:
        packed += b"8BIM" + struct.pack(">H", number) + called + struct.pack(">I", len(content)) + content
        packed += bytes(len(content) & 1)
    return packed


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def xmp(namespace: str, attributes: str) -> bytes:
    """A packet whose description has these attributes of the prefix x."""
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:x="{namespace}" {attributes}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()
