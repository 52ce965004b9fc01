"""Reading pairs for training: by caption, in one order, refusing what cannot be trained on."""

import numpy as np
import pytest
from PIL import Image

from audits.pilots.checked import TrainingError
from audits.pilots.training_set import TrainingSet, read_classes, read_image, read_pairs


def picture(path, size, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_pairs_come_sorted_by_path_whatever_order_they_are_named_in(tmp_path):
    picture(tmp_path / "b.png", (8, 8), (0, 0, 255))
    picture(tmp_path / "a.png", (8, 8), (255, 0, 0))
    pairs = read_pairs(tmp_path, [("b.png", "blue"), ("a.png", "red")], 8)
    assert pairs.captions == ("red", "blue")
    assert pairs.images[0, 0, 0].tolist() == [255, 0, 0]


def test_images_are_scaled_by_their_short_edge_and_cropped_at_the_centre(tmp_path):
    image = Image.new("RGB", (40, 20), (0, 0, 0))
    image.paste((255, 255, 255), (10, 0, 30, 20))
    image.save(tmp_path / "wide.png")
    assert read_image(tmp_path / "wide.png", 10).shape == (10, 10, 3)
    assert read_image(tmp_path / "wide.png", 20).min() == 255


def test_grey_and_palette_images_become_colour(tmp_path):
    Image.new("L", (8, 8), 90).save(tmp_path / "grey.png")
    Image.new("P", (8, 8)).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "grey.png", 8)[0, 0].tolist() == [90, 90, 90]
    assert read_image(tmp_path / "palette.png", 8).shape == (8, 8, 3)


def test_nothing_to_train_on_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no image with a caption"):
        read_pairs(tmp_path, {}, 8)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match="gone"):
        read_pairs(tmp_path, {"gone.png": "a kite"}, 8)


def test_more_than_memory_holds_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(TrainingError, match="do not fit in memory"):
        read_pairs(tmp_path, {f"{n}.png": "a kite" for n in range(300)}, 2048)


def test_images_and_captions_must_be_as_many():
    with pytest.raises(TrainingError, match="2 images came with 1"):
        TrainingSet(np.zeros((2, 8, 8, 3), np.uint8), ("a kite",))


def test_classes_are_numbered_by_their_names(tmp_path):
    for name in ("c.png", "a.png", "b.png"):
        picture(tmp_path / name, (8, 8), (0, 0, 0))
    data = read_classes(tmp_path, {"c.png": "kite", "a.png": "owl", "b.png": "kite"}, 8)
    assert data.labels.tolist() == [1, 0, 0]
    assert data.captions is None


def test_images_without_a_class_leave_all_without_and_are_still_trained_on(tmp_path):
    picture(tmp_path / "a.png", (8, 8), (0, 0, 0))
    picture(tmp_path / "b.png", (8, 8), (0, 0, 0))
    data = read_classes(tmp_path, {"a.png": "owl", "b.png": None}, 8)
    assert (len(data), data.labels) == (2, None)
    with pytest.raises(TrainingError, match="no image to train on"):
        read_classes(tmp_path, {}, 8)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, -1]])
def test_images_and_classes_must_be_as_many_and_numbered_from_zero(labels):
    with pytest.raises(TrainingError, match="2 images need a class each"):
        TrainingSet(np.zeros((2, 8, 8, 3), np.uint8), labels=np.array(labels))
