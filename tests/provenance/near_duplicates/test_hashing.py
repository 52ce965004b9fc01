"""Perceptual hashes of files as people have them: any mode, any size, broken ones too."""

import io

import numpy as np
import pytest
from PIL import Image

from provenance.near_duplicates.finding import LEAST_QUALITY
from provenance.near_duplicates.grouping import DISTANCE
from provenance.near_duplicates.hashing import hashed, record_of
from tests.provenance.embedding.builders import as_bytes, picture

pytestmark = pytest.mark.long


def scene(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """Shapes of many sizes, like a photograph."""
    rng = np.random.default_rng(seed)
    layers = [picture(seed, width, height).astype(float)]
    for size in (12, 24, 48):
        small = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        layers.append(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) * (6 / size) - 384 / size)
    return Image.fromarray(sum(layers).clip(0, 255).astype(np.uint8))


def kept(folder, name: str, data: bytes):
    path = folder / name
    path.write_bytes(data)
    return path


def apart(one, other) -> int:
    return int(np.bitwise_count(one["bits"] ^ other["bits"]).sum())


def test_copies_that_look_alike_are_near_and_others_far(tmp_path):
    image = scene(1)
    files = [
        as_bytes(image, "PNG"),
        as_bytes(image, "JPEG", quality=60),
        as_bytes(image.resize((160, 120)), "WEBP"),
        as_bytes(image.convert("L"), "PNG"),
        as_bytes(Image.fromarray(np.asarray(image) // 2 + 40), "PNG"),
        as_bytes(scene(2), "PNG"),
    ]
    records = hashed([kept(tmp_path, str(n), data) for n, data in enumerate(files)])
    assert records["read"].tolist() == [1] * 6
    assert records["quality"].min() >= LEAST_QUALITY
    assert max(apart(records[0], other) for other in records[1:5]) <= DISTANCE
    assert apart(records[0], records[5]) > 2 * DISTANCE


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5), (5, 5), (8, 8), (32, 32), (2000, 3)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_and_size_has_a_record(tmp_path, mode, size):
    shape = (size[1], size[0])
    rng = np.random.default_rng(1)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, shape, dtype=np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).convert(mode)
    path = kept(tmp_path, "one", as_bytes(image, "JPEG" if mode == "CMYK" else "PNG"))
    record = record_of(str(path))
    assert record["read"] == 1
    assert 0 <= record["quality"] <= 100


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_flat_images_are_too_flat_to_compare_and_known_by_their_pixels(tmp_path, colour):
    one = kept(tmp_path, "one", as_bytes(Image.new("RGB", (64, 48), (colour,) * 3), "PNG"))
    same = kept(tmp_path, "same", as_bytes(Image.new("RGB", (64, 48), (colour,) * 3), "PNG", compress_level=0))
    other = kept(tmp_path, "other", as_bytes(Image.new("RGB", (48, 64), (colour,) * 3), "PNG"))
    records = [record_of(str(path)) for path in (one, same, other)]
    assert all(record["quality"] < LEAST_QUALITY for record in records)
    assert records[0]["pixels"].tolist() == records[1]["pixels"].tolist() != records[2]["pixels"].tolist()


def test_grey_of_16_bits_is_not_clipped(tmp_path):
    grey = np.asarray(scene(3).convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    records = [
        record_of(str(kept(tmp_path, n, as_bytes(i, "PNG")))) for n, i in [("8", Image.fromarray(grey)), ("16", deep)]
    ]
    assert records[0]["pixels"].tolist() == records[1]["pixels"].tolist()


def test_broken_and_missing_files_cost_no_other_its_record(tmp_path):
    whole = as_bytes(scene(4), "PNG")
    bomb = io.BytesIO()
    Image.new("1", (30000, 30000)).save(bomb, "PNG")
    files = [whole, whole[:2000], b"", b"GIF89a", bomb.getvalue(), whole]
    paths = [kept(tmp_path, str(n), data) for n, data in enumerate(files)]
    records = hashed([*paths[:3], tmp_path / "gone", *paths[3:]])
    assert records["read"].tolist() == [1, 0, 0, 0, 0, 0, 1]
    assert records[0] == records[-1]
