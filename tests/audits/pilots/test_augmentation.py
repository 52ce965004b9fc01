"""Views of a batch: each image draws its own, and grey stays grey."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audits.pilots.augmentation import SHARP, _coloured, _gaussian, _samples, mirrored, to_input, view
from audits.pilots.recipe import Augmentation

STILL = Augmentation(smallest_crop=1.0, flipped=0, jittered=0, grey=0, blurred=0)


def pictures(count=4, side=16):
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).float()


def drawn(settings, images, seed=1):
    return view(images, settings, torch.Generator().manual_seed(seed))


def test_a_crop_of_all_and_no_blur_leave_every_pixel_where_it_was():
    whole = _samples(torch.zeros(2), torch.ones(2), 16)
    assert torch.allclose(whole, torch.eye(16).expand(2, 16, 16), atol=1e-5)
    assert torch.equal(_gaussian(torch.full((2,), SHARP), 16), torch.eye(16).expand(2, 16, 16))


def test_colours_that_are_not_jittered_stay():
    images = pictures()
    assert torch.allclose(_coloured(images, STILL, torch.Generator().manual_seed(1)), images, atol=1e-2)


def test_every_picture_draws_its_own_numbers_and_a_seed_repeats_them():
    one = pictures(1).repeat(8, 1, 1, 1)
    views = drawn(Augmentation(), one)
    assert len({tuple(row.flatten().tolist()) for row in views}) == 8
    assert torch.equal(views, drawn(Augmentation(), one))
    assert not torch.equal(views, drawn(Augmentation(), one, seed=2))


@given(settings=st.builds(Augmentation, grey=st.floats(0, 1), blurred=st.floats(0, 1), hue=st.floats(0, 0.5)))
def test_views_are_grey_levels_and_grey_pictures_stay_grey(settings):
    grey = pictures(6).mean(dim=1, keepdim=True).repeat(1, 3, 1, 1)
    views = drawn(settings, grey)
    assert views.min() >= 0
    assert views.max() <= 255
    assert torch.allclose(views[:, 0], views[:, 1], atol=0.5)
    assert torch.allclose(views[:, 1], views[:, 2], atol=0.5)


def test_flat_pictures_stay_flat_under_crops_flips_and_blur():
    flat = torch.full((5, 3, 16, 16), 80.0)
    assert torch.allclose(drawn(Augmentation(jittered=0, grey=0, blurred=1), flat), flat, atol=1e-2)


def test_grey_takes_all_colour():
    views = drawn(Augmentation(grey=1, jittered=0), pictures())
    assert torch.allclose(views[:, 0], views[:, 2], atol=0.5)


def test_flips_turn_left_to_right():
    images = torch.arange(16.0).expand(8, 3, 16, 16)
    settings = Augmentation(smallest_crop=1.0, jittered=0, grey=0, flipped=1)
    assert (drawn(settings, images)[:, :, :, 0] > drawn(settings, images)[:, :, :, -1]).all()
    turned = mirrored(images.permute(0, 2, 3, 1), 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(turned.flip(2), images.permute(0, 2, 3, 1))


def test_a_crop_shows_its_part_of_the_picture():
    slope = torch.arange(64.0).expand(32, 3, 64, 64)
    views = drawn(Augmentation(smallest_crop=0.1, largest_crop=0.12, jittered=0, grey=0, flipped=0), slope)
    reach = views[:, 0, 0, -1] - views[:, 0, 0, 0]
    widths = 64 * (torch.tensor([0.1 / (4 / 3), 0.12 * 4 / 3])).sqrt()
    assert reach.min() > widths[0] - 2
    assert reach.max() < widths[1] + 1


def test_blur_lowers_contrast_between_neighbours():
    checks = ((torch.arange(224)[:, None] + torch.arange(224)) % 2 * 255.0).expand(4, 3, 224, 224)
    still = Augmentation(smallest_crop=1.0, jittered=0, grey=0, flipped=0, blurred=1)
    assert drawn(still, checks).std() < 0.8 * drawn(Augmentation(**{**still.to_json(), "blurred": 0}), checks).std()


@pytest.mark.parametrize("level", [0, 127.5, 255])
def test_input_is_centred(level):
    images = torch.full((1, 3, 4, 4), float(level))
    assert torch.allclose(to_input(images), torch.full_like(images, (level / 255 - 0.5) / 0.25))
