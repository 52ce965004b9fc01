"""Features on disk: unit length, NaN where nothing could be read, asked once, refused for other images."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from audits.asking.encoding import BLOCK_BYTES, EncodingError, FeatureStore, block_images, encode
from audits.suspects.answers import Answers


class Means:
    """A model whose features are an image's mean colour, scaled beyond what half precision holds."""

    def __init__(self, gives_features=True) -> None:
        self.asked, self._images, self._gives = 0, {}, gives_features

    def load_images(self, name, images):
        self._images[name] = images
        return len(images)

    def answer(self, name, indices, mark=None):
        self.asked += len(indices)
        means = 1e9 * self._images[name][indices].mean(axis=(1, 2), dtype=np.float32)
        return Answers(means if self._gives else None, None, None)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(1)
    made = []
    for number in range(25):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        made.append((path, hashlib.sha256(path.read_bytes()).hexdigest()))
    return made


def store(folder, subject="a model and images", images=25, width=3, block=4):
    return FeatureStore.open(folder / "store", subject, images, width, block)


def run(kept, files, model, on_block=lambda images: None):
    encode(kept, lambda start, stop: files[start:stop], model, 8, on_block, workers=2)


def test_every_image_gets_a_direction(tmp_path, files):
    kept, model = store(tmp_path), Means()
    run(kept, files, model)
    assert model.asked == 25
    lengths = np.linalg.norm(np.asarray(kept.features, dtype=np.float32), axis=1)
    assert lengths == pytest.approx(np.ones(25), abs=2e-3)
    wanted = np.asarray(Image.open(files[24][0])).mean(axis=(0, 1))
    assert np.asarray(kept.features[24]) == pytest.approx(wanted / np.linalg.norm(wanted), abs=2e-3)


def test_what_is_gone_altered_or_broken_has_no_features(tmp_path, files):
    files[2][0].unlink()
    files[3][0].write_bytes(b"altered")
    files[7][0].write_bytes(b"no image")
    files[7] = (files[7][0], hashlib.sha256(b"no image").hexdigest())
    kept = store(tmp_path)
    run(kept, files, Means())
    assert list(np.flatnonzero(np.isnan(kept.features).any(axis=1))) == [2, 3, 7]


def test_a_block_without_any_image_is_not_asked_about(tmp_path, files):
    for path, _ in files[:4]:
        path.unlink()
    kept, model = store(tmp_path), Means()
    run(kept, files, model)
    assert model.asked == 21
    assert kept.missing() == []


def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path, files):
    whole = store(tmp_path / "whole")
    run(whole, files, Means())

    class StopError(Exception):
        pass

    seen = []

    def stop(images):
        seen.append(images)
        if len(seen) == 3:
            raise StopError

    model = Means()
    with pytest.raises(StopError):
        run(store(tmp_path), files, model, stop)
    again = store(tmp_path)
    assert again.missing() == [3, 4, 5, 6]
    run(again, files, model)
    assert model.asked == 25
    assert np.array_equal(again.features, whole.features)


@pytest.mark.parametrize("other", [{"subject": "another"}, {"images": 24}, {"width": 4}, {"block": 5}])
def test_features_of_something_else_are_refused(tmp_path, other):
    store(tmp_path)
    with pytest.raises(EncodingError, match="another encoder or other images"):
        store(tmp_path, **other)


def test_a_model_without_features_is_refused(tmp_path, files):
    with pytest.raises(EncodingError, match="gives no features"):
        run(store(tmp_path), files, Means(gives_features=False))


@pytest.mark.parametrize("size", [8, 32, 224, 518, 2048])
def test_a_block_is_bounded_in_images_and_bytes(size):
    images = block_images(size)
    assert 16 <= images <= 512
    assert images == 16 or images * 3 * size * size <= BLOCK_BYTES
