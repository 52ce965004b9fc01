"""Probes: any mode and shape becomes a square of the model's size, and a changed file is noticed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from audits.asking.probe_images import ProbeImageError, load_images, load_images_once


def file_of(path, image, **options):
    image.save(path, **options)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_mode_becomes_rgb_of_the_model_s_size(tmp_path):
    grey16 = Image.fromarray(np.full((20, 30), 257 * 100, dtype=np.uint16))
    files = [
        file_of(tmp_path / "a.png", Image.new("RGB", (40, 20), (10, 20, 30))),
        file_of(tmp_path / "b.png", Image.new("RGBA", (8, 9), (10, 20, 30, 0))),
        file_of(tmp_path / "c.png", Image.new("P", (16, 16), 0)),
        file_of(tmp_path / "d.jpg", Image.new("CMYK", (33, 16), (0, 0, 0, 0))),
        file_of(tmp_path / "e.png", grey16),
        file_of(tmp_path / "f.webp", Image.new("L", (5, 50), 77).convert("RGB"), lossless=True),
    ]
    seen = []
    images = load_images(files, 16, seen.append)
    assert images.shape == (6, 16, 16, 3)
    assert seen == [1, 2, 3, 4, 5, 6]
    assert (images[0] == [10, 20, 30]).all()
    assert (images[1] == [10, 20, 30]).all()
    assert (images[3] > 250).all()
    assert (images[4] == 100).all()
    assert (images[5] == 77).all()


def test_a_picture_of_the_right_size_is_left_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    images = load_images([file_of(tmp_path / "a.png", Image.fromarray(pixels))], 12)
    np.testing.assert_array_equal(images[0], pixels)


def test_pictures_are_decoded_once(tmp_path):
    path, digest = file_of(tmp_path / "a.png", Image.new("RGB", (8, 8), (1, 2, 3)))
    first = load_images_once(tmp_path / "kept" / "probes.npy", [(path, digest)], 8)
    path.unlink()
    again = load_images_once(tmp_path / "kept" / "probes.npy", [(path, digest)], 8)
    np.testing.assert_array_equal(first, again)
    assert (again == [1, 2, 3]).all()


def test_orientation_is_applied(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: the top row becomes the right column
    images = load_images([file_of(tmp_path / "a.png", Image.fromarray(pixels), exif=exif)], 8)
    assert (images[0][:, -1] == 255).all()
    assert (images[0][:, 0] == 0).all()


def test_changed_missing_and_broken_files_are_named(tmp_path):
    path, digest = file_of(tmp_path / "a.png", Image.new("RGB", (8, 8)))
    with pytest.raises(ProbeImageError, match="changed since"):
        load_images([(path, "0" * 64)], 8)
    with pytest.raises(ProbeImageError, match="cannot be read"):
        load_images([(tmp_path / "gone.png", digest)], 8)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ProbeImageError, match="cannot be decoded"):
        load_images([(path, hashlib.sha256(path.read_bytes()).hexdigest())], 8)
