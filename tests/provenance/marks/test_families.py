"""What every family promises, for associated and for plain marks."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.fft import dctn

from provenance.embedding.survival import survival
from provenance.keying import philox
from provenance.marks import MarkSecret, MarkSettings, SettingsError, families, family_for, patch
from provenance.marks.waves import as_tile, wave_distances

GROUPS = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay")
NAMES = sorted(families())
BEACON = bytes(32)
sizes = st.tuples(st.integers(8, 90), st.integers(8, 90))
places = st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))


def associated(family: str, **changes) -> MarkSettings:
    return MarkSettings(groups=GROUPS, family=family, **changes)


def plain(family: str, **changes) -> MarkSettings:
    return MarkSettings(family=family, association="plain", **changes)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth picture with some texture, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(40, 215, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(size=sizes, place=places, seed=st.integers(0, 5))
def test_embedding_and_audit_apply_the_same_mark(name, size, place, seed):
    family = family_for(associated(name))
    pattern = family.patterns(philox(bytes([seed]) * 32, BEACON, "p"), 4)[seed % 4]
    image = picture(*size, seed)
    top, left, height, width = family.region(*size, place)
    window = np.s_[top : top + height, left : left + width]
    expected = image.astype(np.float32)
    expected[window] = family.mix(expected[window].copy(), pattern, place)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    marked = family.apply(batch, torch.from_numpy(pattern)[None], torch.tensor([place], dtype=torch.float64))
    assert np.abs(marked[0].permute(1, 2, 0).numpy() - expected).max() <= 255 * 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_large_image_is_marked_alike_too(name):
    """The coordinates of `warp` are fractions of the image, so they are rounded more coarsely the larger it is."""
    family, size, place = family_for(associated(name)), (1024, 700), (0.3, 0.8)
    pattern = family.patterns(philox(bytes(32), BEACON, "p"), 1)[0]
    image = np.random.default_rng(0).integers(0, 2, (*size, 3), dtype=np.uint8) * np.uint8(255)
    top, left, height, width = family.region(*size, place)
    window = np.s_[top : top + height, left : left + width]
    expected = image.astype(np.float32)
    expected[window] = family.mix(expected[window].copy(), pattern, place)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    marked = family.apply(batch, torch.from_numpy(pattern)[None], torch.tensor([place], dtype=torch.float64))
    assert np.abs(marked[0].permute(1, 2, 0).numpy() - expected).max() <= 255 * 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_changes_no_bit(name):
    family = family_for(associated(name))
    patterns = torch.from_numpy(family.patterns(philox(bytes(32), BEACON, "p"), 5))
    images = torch.from_numpy(np.stack([picture(40, 56, seed) for seed in range(5)])).permute(0, 3, 1, 2).float()
    placements = torch.rand(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    together = family.apply(images, patterns, placements)
    for i in range(5):
        alone = family.apply(images[i : i + 1], patterns[i : i + 1], placements[i : i + 1])
        assert torch.equal(alone[0], together[i])
    assert torch.equal(family.apply(images.byte(), patterns, placements), together)
    shared = family.apply(images, patterns[:1], placements)
    assert torch.equal(shared[0], together[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_mark_leaves_its_source_alone_and_changes_something(name):
    family = family_for(associated(name))
    pattern = torch.from_numpy(family.patterns(philox(bytes(32), BEACON, "p"), 1))
    images = torch.from_numpy(picture(32, 32)).permute(2, 0, 1)[None].float()
    before = images.clone()
    marked = family.apply(images, pattern, torch.tensor([[0.3, 0.6]], dtype=torch.float64))
    assert torch.equal(images, before)
    assert float((marked - images).abs().max()) > 1


@pytest.mark.parametrize("name", NAMES)
def test_patterns_of_a_set_are_all_different_and_follow_from_the_key(name):
    family = family_for(associated(name))
    first = family.patterns(philox(bytes(32), BEACON, "p"), 40)
    again = family.patterns(philox(bytes(32), BEACON, "p"), 40)
    other = family.patterns(philox(b"1" * 32, BEACON, "p"), 40)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len({pattern.tobytes() for pattern in first}) == 40


def pool_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All patterns that a family chooses from, and the distances of any two of them."""
    family = family_for(associated(name))
    if name == "patch":
        return patch._pool(family.cells)
    waves = family._pool()
    return np.stack([as_tile(wave.field()) for wave in waves]), wave_distances(waves)


@pytest.mark.parametrize("name", NAMES)
def test_a_chosen_set_is_farther_apart_than_random_ones(name):
    """By the least distance of any two: that of a key's patterns against draws from the same pool."""
    pool, distances = pool_of(name)
    number_of = {pattern.tobytes(): number for number, pattern in enumerate(pool)}
    assert len(number_of) == len(pool)

    def nearest(members: Sequence[int]) -> float:
        return float(distances[np.ix_(members, members)][np.triu_indices(len(members), 1)].min())

    rng = np.random.default_rng(0)
    drawn = [nearest(rng.choice(len(pool), 16, replace=False)) for _ in range(200)]
    for key in range(5):
        chosen = family_for(associated(name)).patterns(philox(bytes([key]) * 32, BEACON, "p"), 16)
        assert nearest([number_of[pattern.tobytes()] for pattern in chosen]) > max(drawn)


@pytest.mark.parametrize("name", NAMES)
def test_plain_patterns_are_balanced(name):
    """Decoys must differ from the true pattern in nothing but the key: same mean, same energy."""
    family = family_for(plain(name))
    drawn = [family.balanced_pattern(philox(bytes([k]) * 32, BEACON, "p")).astype(float) for k in range(60)]
    means = np.array([pattern.mean((0, 1)) for pattern in drawn])
    energies = np.array([((pattern - 127.5) ** 2).mean() for pattern in drawn])
    assert np.ptp(means, axis=0).max() < 3.0
    assert energies.std() / energies.mean() < 0.12
    assert len({pattern.tobytes() for pattern in drawn}) == 60


def test_a_plain_patch_deals_the_same_blocks_to_every_key():
    family = family_for(plain("patch"))
    dealt = {
        tuple(sorted(map(tuple, family.balanced_pattern(philox(bytes([k]) * 32, BEACON, "p")).reshape(-1, 3).tolist())))
        for k in range(20)
    }
    assert len(dealt) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("height", [48, 320])
def test_marks_survive_jpeg_at_quality_75(name, height):
    family = family_for(associated(name, **({"amplitude": 16.0} if name in ("blend", "spectral") else {})))
    kept = []
    for seed, pattern in enumerate(family.patterns(philox(b"7" * 32, BEACON, "p"), 6)):
        image = picture(height, height * 4 // 3, seed)
        marked = image.astype(np.float32)
        top, left, tall, wide = family.region(*image.shape[:2], (0.4, 0.2))
        window = np.s_[top : top + tall, left : left + wide]
        marked[window] = family.mix(marked[window].copy(), pattern, (0.4, 0.2))
        intended = np.clip(np.rint(marked), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(intended).save(buffer, "JPEG", quality=75)
        written = np.asarray(Image.open(buffer))
        kept.append(survival(image[window], intended[window], written[window]))
    assert np.median(kept) > 0.5


@pytest.mark.parametrize("name", ["blend", "spectral", "patch"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_mark_means_the_same_after_resizing(name, factor):
    """Marked and then resized is close to resized and then marked: patterns are stretched with the image."""
    family = family_for(associated(name, **({"amplitude": 16.0} if name != "patch" else {})))
    image, size = picture(128, 128), int(128 * factor)
    place = (0.25, 0.5)
    for pattern in family.patterns(philox(b"3" * 32, BEACON, "p"), 4):
        marked = image.astype(np.float32)
        top, left, tall, wide = family.region(128, 128, place)
        window = np.s_[top : top + tall, left : left + wide]
        marked[window] = family.mix(marked[window].copy(), pattern, place)
        first = _resized(marked, size) - _resized(image.astype(np.float32), size)
        small = _resized(image.astype(np.float32), size)
        top, left, tall, wide = family.region(size, size, place)
        window = np.s_[top : top + tall, left : left + wide]
        second = small.copy()
        second[window] = family.mix(small[window].copy(), pattern, place)
        second -= small
        correlation = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
        assert correlation > 0.7


def _resized(pixels: np.ndarray, size: int) -> np.ndarray:
    planes = [
        Image.fromarray(pixels[..., c], mode="F").resize((size, size), Image.Resampling.BILINEAR) for c in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def test_options_of_another_family_are_refused():
    with pytest.raises(SettingsError, match="has no bend"):
        associated("patch", bend=0.05)
    with pytest.raises(SettingsError, match="has no opacity"):
        associated("blend", opacity=1.0)


def test_settings_hold_only_what_the_family_uses():
    assert set(associated("patch").to_dict()) & {"amplitude", "bend", "periods"} == set()
    assert set(associated("warp").to_dict()) & {"side", "opacity", "cells", "amplitude"} == set()
    for name in NAMES:
        for made in (associated(name), plain(name)):
            assert MarkSettings.from_json(made.to_json()) == made


@pytest.mark.parametrize("finest", [6, 10, 7.5, "8", True])
def test_the_finest_waves_leave_enough_patterns(finest):
    with pytest.raises(SettingsError, match="coefficients 7 to 9"):
        associated("spectral", finest=finest)
    with pytest.raises(SettingsError, match="has no finest"):
        associated("blend", finest=8)
    many = MarkSettings(groups=tuple(f"group {n}" for n in range(64)), family="spectral", finest=7)
    patterns = MarkSecret.derive(b"k" * 32, b"b" * 32, many).patterns
    assert len({pattern.tobytes() for pattern in patterns}) == 64


def test_fewer_fine_waves_are_other_settings_and_need_fewer_pixels():
    """What was committed before there was a choice stays byte for byte what it was."""
    assert "finest" not in associated("spectral").to_json()
    assert associated("spectral", finest=9) == associated("spectral")
    coarse = associated("spectral", finest=7)
    assert coarse.to_dict()["finest"] == 7
    assert MarkSettings.from_json(coarse.to_json()) == coarse
    assert (associated("spectral").least_edge, coarse.least_edge) == (12, 9)
    assert highest_coefficient(coarse) == 7
    assert highest_coefficient(associated("spectral")) == 9


def highest_coefficient(mark: MarkSettings) -> int:
    """Of some keys' patterns, which are one DCT-II coefficient each."""
    tiles = np.concatenate([MarkSecret.derive(bytes([key]) * 32, b"b" * 32, mark).patterns for key in range(8)])
    spectra = np.abs(dctn(tiles.astype(float) - 127.5, axes=(1, 2))).sum(axis=-1)
    return int(max(max(np.unravel_index(one.argmax(), one.shape)) for one in spectra))


def test_plain_marks_have_no_groups_and_enough_keys():
    with pytest.raises(SettingsError, match="no groups"):
        MarkSettings(groups=GROUPS, association="plain")
    with pytest.raises(SettingsError, match="between 4 and 8"):
        plain("patch", cells=3)


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_secret_has_one_pattern_for_every_image(name):
    from types import SimpleNamespace

    secret = MarkSecret.derive(b"9" * 32, BEACON, plain(name, share=0.25))
    entries = [SimpleNamespace(path=f"{i}.png", sha256=f"{i:064x}", label=None, caption=None) for i in range(80)]
    (only,) = secret.candidates(entries, [80])
    assert len(secret.patterns) == 1
    assert secret.assignment.tolist() == [0]
    assert only.wanted == 20
    assert len({image.path for image in only.images}) == len(only.images)
