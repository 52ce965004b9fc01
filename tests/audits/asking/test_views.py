"""Views: drawn once, of whole-number weights, the same picture to the last bit however they are made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audits.asking.questions import MeasuringError
from audits.asking.views import View, ViewSettings, applied, drawn_views
from audits.statistics.permutation import philox_from
from audits.suspects.errors import SuspectError
from audits.suspects.view_pixels import ViewMaker
from audits.suspects.views import COLOUR_UNIT, PLACE_UNIT, AppliedViews

CPU = torch.device("cpu")
EXPECTED = [0.0, 0.075657, 1.0, 0.773624, 0.0]
PLAIN = View(0.0, 0.0, 1.0, 1.0, False, 0.0, np.eye(3), 0.0)


def views_of(count: int = 10, size: int = 32, digest: str = "a plan", smallest: float = 0.4) -> AppliedViews:
    return applied(drawn_views(ViewSettings(count, smallest), philox_from(digest, "views")), size)


def pictures(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, size, size), dtype=np.uint8))


def test_a_plan_draws_its_views_once_and_another_plan_draws_others():
    one, same, other = views_of(), views_of(), views_of(digest="another plan")
    assert all(np.array_equal(one.arrays()[name], same.arrays()[name]) for name in one.arrays())
    assert not np.array_equal(one.rows, other.rows)


def test_views_of_a_plan_are_the_same_for_ever():
    """Drawn from raw words: a later NumPy must give these numbers, or a repeated audit would ask other views."""
    view = drawn_views(ViewSettings(), philox_from("ab" * 32, "views"))[1]
    assert [round(value, 6) for value in (view.top, view.left, view.height, view.width, view.offset)] == EXPECTED


@settings(max_examples=40, deadline=None)
@given(
    size=st.sampled_from([8, 17, 32, 48]),
    batch=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    smallest=st.floats(0.05, 1.0),
)
def test_the_batch_changes_no_bit(size, batch, seed, smallest):
    made = ViewMaker(views_of(6, size, str(seed), smallest), CPU)
    images = pictures(40, size, seed)
    numbers = torch.from_numpy(np.random.default_rng(seed).integers(0, 6, 40))
    whole = made(images, numbers)
    parts = [made(images[i : i + batch], numbers[i : i + batch]) for i in range(0, 40, batch)]
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(whole, whole.round())
    assert float(whole.min()) >= 0
    assert float(whole.max()) <= 255


def test_sums_are_exact_in_single_precision():
    """As whole numbers they are the same in double precision, at a usual input's size."""
    views, images = views_of(4, 224), pictures(4, 224)
    rows, columns = torch.from_numpy(views.rows).long(), torch.from_numpy(views.columns).long()
    exact = rows[:, None] @ images.long() @ columns.transpose(1, 2)[:, None]
    single = rows.float()[:, None] @ images.float() @ columns.float().transpose(1, 2)[:, None]
    assert torch.equal(single.long(), exact)
    assert int(exact.max()) < 2**24


def test_the_plain_view_is_the_image_and_a_flip_mirrors_it():
    images = pictures(5, 32)
    flipped = View(0.0, 0.0, 1.0, 1.0, True, 0.0, np.eye(3), 0.0)
    made = ViewMaker(applied((PLAIN, flipped), 32), CPU)
    assert torch.equal(made(images, torch.zeros(5, dtype=torch.int64)), images.float())
    assert torch.equal(made(images, torch.ones(5, dtype=torch.int64)), images.flip(3).float())


def test_a_crop_shows_its_part_of_the_image():
    """The lower right quarter, resized as torch's own bilinear interpolation does it, but for rounded weights."""
    y, x = np.mgrid[0:32, 0:32]
    smooth = np.stack([4 * y + 40, 4 * x + 40, 2 * (x + y) + 40]).astype(np.uint8)[None]
    made = ViewMaker(applied((View(0.5, 0.5, 0.5, 0.5, False, 0.0, np.eye(3), 0.0),), 32), CPU)
    seen = made(torch.from_numpy(smooth), torch.zeros(1, dtype=torch.int64))[0]
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(smooth[:, :, 16:, 16:]).float(), size=32, mode="bilinear", align_corners=False
    )[0]
    inside = slice(2, -2)  # at the border this crop sees its neighbours, the other one repeats its edge
    assert float((seen - wanted)[:, inside, inside].abs().max()) <= 1.0


def test_colours_change_as_the_views_say():
    images = pictures(3, 16)
    grey = View(0.0, 0.0, 1.0, 1.0, False, 0.0, np.tile([0.299, 0.587, 0.114], (3, 1)), 0.0)
    darker = View(0.0, 0.0, 1.0, 1.0, False, 0.0, 0.5 * np.eye(3), 0.0)
    flat = View(0.0, 0.0, 1.0, 1.0, False, 0.0, 0.0 * np.eye(3), 1.0)
    made = ViewMaker(applied((grey, darker, flat), 16), CPU)
    numbers = torch.tensor([0, 1, 2])
    seen = made(images, numbers)
    assert torch.equal(seen[0][0], seen[0][2])
    assert torch.allclose(seen[1], images[1].float() / 2, atol=0.51)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    mean = (images[2].float() * weights).sum(0).mean()
    assert torch.allclose(seen[2], mean.round().expand(3, 16, 16), atol=1.0)


def test_blur_smooths_and_keeps_the_mean_of_a_flat_image():
    images = torch.full((1, 3, 64, 64), 120, dtype=torch.uint8)
    images[:, :, ::2] = 200
    made = ViewMaker(applied((View(0.0, 0.0, 1.0, 1.0, False, 2 / 64, np.eye(3), 0.0),), 64), CPU)
    seen = made(images, torch.zeros(1, dtype=torch.int64))
    assert float(seen[:, :, 8:-8].max() - seen[:, :, 8:-8].min()) <= 6
    assert abs(float(seen.mean()) - 160) <= 2


@settings(max_examples=60, deadline=None)
@given(count=st.integers(2, 20), size=st.integers(1, 70), seed=st.integers(0, 2**32), smallest=st.floats(0.05, 1.0))
def test_every_row_of_weights_is_whole_and_sums_to_one(count, size, seed, smallest):
    views = views_of(count, size, str(seed), smallest)
    assert len(views) == count
    assert (views.rows.sum(axis=2, dtype=int) == PLACE_UNIT).all()
    assert (views.columns.sum(axis=2, dtype=int) == PLACE_UNIT).all()
    assert np.abs(views.colours).max() <= 4 * COLOUR_UNIT


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), smallest=st.floats(0.05, 1.0))
def test_crops_lie_inside_and_leave_what_the_plan_says(seed, smallest):
    for view in drawn_views(ViewSettings(20, smallest), philox_from(str(seed), "views")):
        assert 0 <= view.top <= view.top + view.height <= 1 + 1e-12
        assert 0 <= view.left <= view.left + view.width <= 1 + 1e-12
        # One that would be longer than the image is cut to its side.
        assert view.height * view.width >= smallest * 0.75 - 1e-9


@pytest.mark.parametrize("wrong", [{"count": 1}, {"count": 65}, {"smallest_crop": 0.0}, {"smallest_crop": 1.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(MeasuringError):
        ViewSettings(**wrong)


@pytest.mark.parametrize(("name", "more"), [("rows", 5), ("columns", 5), ("colours", 5 * COLOUR_UNIT), ("offsets", 5)])
def test_weights_that_would_not_be_exact_are_refused(name, more):
    good = views_of().arrays()
    with pytest.raises(SuspectError):
        AppliedViews(**{**good, name: good[name] + good[name].dtype.type(more)})
