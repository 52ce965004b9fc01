"""Small images and archives, made on the fly."""

import io
import tarfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

from provenance.intake.take_in import IntakeOptions


def picture(seed: int = 0, size: tuple[int, int] = (24, 16), mode: str = "RGB") -> Image.Image:
    """A picture that differs for every seed."""
    image = Image.new("RGB", size)
    image.putdata(
        [
            ((x * 7 + seed) % 256, (y * 11 + seed // 256) % 256, (x * y + seed) % 256)
            for y in range(size[1])
            for x in range(size[0])
        ]
    )
    return image.convert(mode) if mode != "RGB" else image


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def jpeg(seed: int = 0, **options: object) -> bytes:
    return encoded(picture(seed), "JPEG", **options)


def write_zip(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return path


def write_tar(
    path: Path, members: list[tuple[str, bytes]], mode: Literal["w", "w:gz"] = "w", layout: int = tarfile.PAX_FORMAT
) -> Path:
    with tarfile.open(path, mode, format=layout) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_folder(path: Path, members: list[tuple[str, bytes]]) -> Path:
    for name, data in members:
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return path


def tree_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


MEMBERS = [
    ("cat/1.jpg", jpeg(1)),
    ("cat/2.png", encoded(picture(2), "PNG")),
    ("cat.jpg", jpeg(3)),
    ("dog/sub/1.webp", encoded(picture(4), "WEBP")),
    ("dog/copy.jpg", jpeg(1)),
    ("empty/readme.txt", b"hello"),
    ("cut.jpg", jpeg(5)[:-30]),
]
ONE = IntakeOptions(processes=1)


def options(**settings):
    return IntakeOptions(processes=1, **settings)
