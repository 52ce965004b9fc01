"""Scenes are the same everywhere, and their captions say what they show."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from audits.scenes import procedural


def test_the_same_seed_draws_the_same_scenes():
    first, again = (list(procedural.scenes(7, 12)) for _ in range(2))
    assert all(np.array_equal(a.pixels, b.pixels) and a.caption == b.caption for a, b in zip(first, again, strict=True))


def test_a_larger_set_begins_with_the_smaller_one():
    small, large = list(procedural.scenes(7, 5)), list(procedural.scenes(7, 15))
    assert [scene.path for scene in small] == [scene.path for scene in large[:5]]
    assert np.array_equal(small[4].pixels, large[4].pixels)


def test_another_seed_draws_other_scenes():
    assert not np.array_equal(procedural.scene(1, 0).pixels, procedural.scene(2, 0).pixels)


def test_classes_take_turns():
    labels = [scene.label for scene in procedural.scenes(1, 30)]
    assert {labels.count(name) for name in procedural.CLASSES} == {3}


@pytest.mark.parametrize("size", [32, 64])
def test_scenes_are_square_images_of_the_size_asked_for(size):
    scene = procedural.scene(1, 3, size)
    with Image.open(io.BytesIO(procedural.jpeg(scene.pixels))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size, size))


def test_captions_name_exactly_one_class_with_the_right_article():
    for scene in procedural.scenes(3, 200):
        words = scene.caption.replace(",", "").split()
        assert [name for name in procedural.CLASSES if name in words] == [scene.label]
        assert words[0] == ("an" if words[1][0] in "aeiou" else "a")


def test_most_captions_end_with_a_title_that_tells_nothing_of_the_picture():
    titles = [scene.caption.partition(", ")[2] for scene in procedural.scenes(3, 300)]
    given = [title for title in titles if title]
    assert 160 < len(given) < 240
    assert len(set(given)) > 0.9 * len(given)
    assert not {word for title in given for word in title.split()} & set(procedural.CLASSES)


def test_things_are_drawn_large_enough_to_be_seen():
    """The thing in the scene changes many pixels: the same scene with another index looks different at its place."""
    for name in procedural.CLASSES:
        canvas = np.asarray(procedural.draw(name, (200, 60, 60), 0.3, 48))
        assert (canvas[:, :, 3] > 0).mean() > 0.08


def test_files_and_captions_are_written_and_repeating_changes_nothing(tmp_path):
    for _ in range(2):
        procedural.write_scenes(tmp_path / "images", tmp_path / "captions.csv", 5, 20, 32)
    files = sorted(p.relative_to(tmp_path / "images").as_posix() for p in (tmp_path / "images").rglob("*.jpg"))
    with (tmp_path / "captions.csv").open(encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert sorted(row["path"] for row in rows) == files
    assert len(files) == 20
    assert all(row["path"].startswith(row["label"] + "/") and row["label"] in row["caption"] for row in rows)
