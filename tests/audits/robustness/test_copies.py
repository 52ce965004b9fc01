"""What attacks make of copies."""

from __future__ import annotations

import numpy as np
import pytest

from audits.robustness.attacks.leaving_out import ByDistance, ByForest, ByLocalFactor, Deduplicated
from audits.robustness.attacks.pixels import Blurred, FewColours, Jpeg, Median, Noise, Resized
from audits.robustness.attacks.variants import CutMixed, Erased, RandAugmented
from audits.robustness.attacks.whole_copies import Merged, Purified, Recaptioned
from audits.robustness.copies import Copy, RobustnessError
from tests.audits.builders_robustness import RECIPE, evader, noise_images, plain_copy

pytestmark = pytest.mark.suspect
PIXELS = (Jpeg(quality=50), Resized(), Blurred(), Median(), Noise(), FewColours())
VARIANTS = (RandAugmented(variants=2), Erased(variants=2), CutMixed(variants=2))


def attacked(attack, copy: Copy, work, **more) -> Copy:
    return attack.copied(copy, evader(work, copy, **more))


def detail(images: np.ndarray) -> float:
    """Mean difference of neighbours."""
    return float(np.abs(np.diff(images.astype(int), axis=2)).mean())


@pytest.mark.parametrize("attack", PIXELS, ids=lambda attack: attack.name)
def test_pixels_change_the_pictures_stay_and_the_same_seed_changes_them_alike(attack, tmp_path):
    copy = plain_copy(noise_images(6), captions=tuple("abcdef"), labels=np.arange(6))
    after = attacked(attack, copy, tmp_path)
    assert after.data.images.shape == copy.data.images.shape
    assert (after.data.images != copy.data.images).any(axis=(1, 2, 3)).all()
    assert (after.pictures.tolist(), after.data.captions) == (copy.pictures.tolist(), copy.data.captions)
    assert np.array_equal(after.data.images, attacked(attack, copy, tmp_path).data.images)


@pytest.mark.parametrize("attack", [Resized(), Blurred(), Median()], ids=lambda attack: attack.name)
def test_what_smooths_takes_detail_away(attack, tmp_path):
    copy = plain_copy(noise_images(4))
    assert detail(attacked(attack, copy, tmp_path).data.images) < 0.7 * detail(copy.data.images)


def test_a_median_takes_a_speckle_away_and_few_colours_are_few(tmp_path):
    speckled = np.full((1, 16, 16, 3), 90, dtype=np.uint8)
    speckled[0, 5, 5] = 255
    assert (attacked(Median(), plain_copy(speckled), tmp_path).data.images == 90).all()
    few = attacked(FewColours(colours=8), plain_copy(noise_images(2)), tmp_path).data.images
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) <= 8 for image in few)


def test_noise_has_the_deviation_that_it_names(tmp_path):
    grey = plain_copy(np.full((20, 16, 16, 3), 128, dtype=np.uint8))
    added = attacked(Noise(deviation=10.0), grey, tmp_path).data.images.astype(float) - 128
    assert abs(added.std() - 10) < 0.5
    assert abs(added.mean()) < 0.5


@pytest.mark.parametrize("attack", VARIANTS, ids=lambda attack: attack.name)
def test_variants_are_more_images_and_fewer_epochs(attack, tmp_path):
    copy = plain_copy(noise_images(6), labels=np.arange(6))
    after = attacked(attack, copy, tmp_path)
    assert len(after) == 12
    assert (after.data.images[:6] != after.data.images[6:]).any()
    longer = attack.recipe(RECIPE.from_json(RECIPE.to_json() | {"epochs": 10}))
    assert longer.epochs == 5


def test_a_cutmix_has_the_class_of_the_image_that_shows_more(tmp_path):
    flat = np.repeat(np.arange(8, dtype=np.uint8)[:, None, None, None], 16, axis=1).repeat(16, axis=2).repeat(3, axis=3)
    after = attacked(CutMixed(variants=4), plain_copy(flat, labels=np.arange(8)), tmp_path)
    shown = [np.bincount(image[..., 0].ravel(), minlength=8) for image in after.data.images]
    assert after.data.labels is not None
    own = [counts[label] / counts.sum() for counts, label in zip(shown, after.data.labels, strict=True)]
    assert min(own) > 0.45  # a rectangle has whole pixels, so half may be a little less
    assert any((counts > 0).sum() == 2 for counts in shown)


def test_deduplication_keeps_the_first_of_a_kind_and_all_that_are_flat(tmp_path):
    rough = noise_images(5, side=64)
    flat = np.full((3, 64, 64, 3), 77, dtype=np.uint8)
    near = rough[:2].copy()
    near[:, 0, 0] ^= 1  # another file, the same picture
    after = attacked(Deduplicated(), plain_copy(np.concatenate([rough, near, flat])), tmp_path)
    assert after.pictures.tolist() == [0, 1, 2, 3, 4, 7, 8, 9]


@pytest.mark.parametrize("attack", [ByDistance(), ByLocalFactor(), ByForest()], ids=lambda attack: attack.name)
def test_planted_outliers_are_the_strangest(attack):
    rng = np.random.default_rng(4)
    features = rng.normal(0, 0.1, (60, 5)) + np.eye(5)[0]
    features[[7, 31]] = [[-1, 2, 0, 0, 0], [-1, 0, 0, 2, 0]]
    assert set(np.argsort(attack.strangeness(features, 1))[-2:]) == {7, 31}


def test_so_many_outliers_are_left_out(tmp_path):
    after = attacked(ByDistance(share=0.25), plain_copy(noise_images(20)), tmp_path)
    assert len(after) == 15
    assert np.isin(after.pictures, np.arange(20)).all()


def test_words_come_from_other_captions_and_as_many_as_named_are_replaced(tmp_path):
    captions = tuple(f"w{n} x{n} y{n} z{n}" for n in range(100))
    copy = plain_copy(noise_images(100), captions=captions)
    after = attacked(Recaptioned(share=0.5), copy, tmp_path).data.captions
    assert after is not None
    words = [word for caption in after for word in caption.split()]
    assert len(words) == 400
    assert set(words) <= {word for caption in captions for word in caption.split()}
    kept = np.mean([one == other for one, other in zip(words, " ".join(captions).split(), strict=True)])
    assert 0.4 < kept < 0.6


def test_two_copies_together_hold_every_picture_of_either_once(tmp_path):
    pool = noise_images(10)
    first = plain_copy(pool).of(np.array([0, 1, 2, 3, 4, 5, 6, 7]))
    other = plain_copy(255 - pool).of(np.array([2, 3, 4, 5, 6, 7, 8, 9]))
    after = attacked(Merged(), first, tmp_path, second=other)
    assert sorted(after.pictures.tolist()) == list(range(10))
    images = dict(zip(after.pictures.tolist(), after.data.images, strict=True))
    of_first = [np.array_equal(images[number], pool[number]) for number in range(10)]
    assert of_first[:2] == [True, True]
    assert of_first[8:] == [False, False]
    assert 0 < sum(of_first[2:8]) < 6


def test_an_autoencoder_gives_images_back_and_makes_noise_less(tmp_path):
    copy = plain_copy(np.repeat(np.linspace(40, 200, 32)[:, None, None, None], 16, 1).repeat(16, 2).repeat(3, 3).astype(
        np.uint8
    ))  # fmt: skip
    after = attacked(Purified(epochs=40), copy, tmp_path).data.images
    assert after.shape == copy.data.images.shape
    off = np.abs(after.astype(int) - copy.data.images).mean()
    assert off < 25
    assert np.array_equal(after, attacked(Purified(epochs=40), copy, tmp_path).data.images)


def test_a_copy_knows_which_picture_every_image_shows():
    with pytest.raises(RobustnessError, match="one picture"):
        Copy(plain_copy(noise_images(3)).data, np.arange(2))
