"""Marked JPEGs coded again with their own tables change as little as their sources do, and hold what was meant."""

import io

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg.changing import rounds_for
from provenance.embedding.jpeg.decoding import Decoder
from provenance.embedding.jpeg.entropy import read_picture
from provenance.embedding.jpeg.loops.settling import settle
from provenance.embedding.jpeg.settling import Coder
from provenance.embedding.jpeg.structure import parse
from provenance.embedding.marking import mark_image
from provenance.embedding.survival import MAX_SURVIVAL, MIN_SURVIVAL, psnr
from provenance.inspection.recoding import recoding_features
from provenance.marks import MarkSecret, MarkSettings, families, family_for
from tests.provenance.embedding.builders import BEACON, GROUPS, as_bytes
from tests.provenance.embedding.jpeg.files import SAMPLINGS, Handmade, encoded, noisy
from tests.provenance.inspection.builders import textured

WRITTEN_BY_PILLOW = {
    **{name: {"subsampling": name} for name in ("4:4:4", "4:2:2", "4:2:0")},
    "grey": {"channels": 1},
    "RGB": {"keep_rgb": True},
    "CMYK": {"channels": 4},
    "fine": {"quality": 100},
    "coarse": {"quality": 5},
}


def read(data: bytes) -> tuple[Decoder, list[np.ndarray]]:
    """The decoder, and the blocks of every plane that hold samples."""
    structure = parse(data)
    picture = read_picture(data, structure)
    planes = [plane.blocks(picture.coefs)[: plane.high, : plane.wide] for plane in picture.planes]
    return Decoder(structure), planes


def coded(data: bytes, top: int = 0, left: int = 0) -> list[np.ndarray]:
    """What the pixels of a file from `top` and `left` on are coded as, by plane."""
    structure = parse(data)
    decoder = Decoder(structure)
    height, width = decoder.size[0] - top, decoder.size[1] - left
    pixels = decoder.window(read_picture(data, structure).coefs, (top, left, height, width))
    coder = Coder(structure, decoder, left, height, width)
    found = coder.code(pixels, top)
    return [
        found[first : first + rows * columns].reshape(rows, columns, 64)
        for _, _, first, _, rows, columns in coder.blocks(top, height)
    ]


def coded_by_pillow(data: bytes, **options: object) -> list[np.ndarray]:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(buffer, "JPEG", **{"quality": "keep", **options})
    return read(buffer.getvalue())[1]


@pytest.mark.parametrize("size", [(1, 33), (33, 1), (5, 3), (40, 48), (37, 53), (61, 1100)])
@pytest.mark.parametrize("kind", WRITTEN_BY_PILLOW)
def test_the_coder_equals_pillows(kind, size):
    options = dict(WRITTEN_BY_PILLOW[kind])
    image = noisy(*size, options.pop("channels", 3), seed=sum(size))
    if image.mode == "RGBA":
        image = Image.frombytes("CMYK", image.size, image.tobytes())
    data = as_bytes(image, "JPEG", **{"quality": 80, **options})
    again = coded_by_pillow(data, **({"keep_rgb": True} if kind == "RGB" else {}))
    for ours, theirs in zip(coded(data), again, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_coder_equals_pillows_within_a_picture():
    """From whole units on, as bands and boxes begin."""
    data = encoded(70, 90, subsampling="4:2:0")
    for ours, theirs, side in zip(coded(data, 32, 48), coded_by_pillow(data), (8, 16, 16), strict=True):
        assert np.array_equal(ours, theirs[32 // side :, 48 // side :])


YCC_ROWS = ((19595, 38470, 7471, 1 << 15), (-11059, -21709, 32768, 8421375), (32768, -27439, -5329, 8421375))


@pytest.mark.parametrize("sampling", ["4:4:0", "4:1:1", "4:1:0", "thirds", "one plane each", "luma below"])
def test_samplings_that_pillow_does_not_write_are_rounded_means(sampling):
    """Blocks' sums over samples, which are means over pixels; the last pixels of an edge stand for those beyond."""
    data = Handmade(37, 50, factors=SAMPLINGS[sampling]).data()
    structure = parse(data)
    decoder, _ = read(data)
    pixels = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    for number, (ours, plane, row) in enumerate(zip(coded(data), decoder.planes, YCC_ROWS, strict=True)):
        levels = (pixels @ np.array(row[:3]) + row[3]) >> 16
        down, across = plane.factors
        levels = np.pad(levels, ((0, plane.height * down - 37), (0, plane.wide * 8 * across - 50)), "edge")
        sums = levels.reshape(plane.height, down, -1, across).sum(axis=(1, 3))
        half = 1 + np.arange(sums.shape[1]) % 2 if (down, across) == (2, 2) else down * across // 2
        half = np.arange(sums.shape[1]) % 2 if (down, across) == (1, 2) else half
        samples = np.pad((sums + half) // (down * across) - 128, ((0, plane.high * 8 - plane.height), (0, 0)), "edge")
        total = samples.reshape(plane.high, 8, plane.wide, 8).sum(axis=(1, 3))
        step = 8 * structure.steps[number][0]
        assert np.array_equal(ours[..., 0], np.sign(total) * ((abs(total) + step // 2) // step))


def mark(data: bytes, name: str, key: bytes = b"k", **changes: object) -> tuple[bytes, float]:
    secret = MarkSecret.derive(key * 32, BEACON, MarkSettings(groups=GROUPS, family=name, **changes))
    marked = mark_image(data, family_for(secret.settings), secret.patterns[0], (0.3, 0.7))
    return marked.data, marked.survival


def changes(data: bytes) -> np.ndarray:
    """Shares of coefficients that change in each plane, as a stranger finds them with Pillow."""
    found = recoding_features(data)["bytes"]
    return np.array([found[f"coefficients that change in plane {plane}"] for plane in (1, 2, 3)])


@pytest.mark.parametrize("family", families())
def test_marked_files_change_as_their_sources_do(family):
    """Mean over pictures, each plane; unsettled patches change three times as much in halved planes."""
    sources = [as_bytes(textured(seed, 128, 112), "JPEG", quality=80 + seed) for seed in range(12)]
    before = np.array([changes(data) for data in sources])
    after = np.array([changes(mark(data, family)[0]) for data in sources])
    assert (after.mean(axis=0) <= 1.25 * before.mean(axis=0) + 0.0005).all(), (before.mean(axis=0), after.mean(axis=0))


def test_only_what_changes_more_than_before_settles():
    """Two blocks, each of which changes by five coefficients; in the source one did by three, and one by none."""
    coefs, coded_as = np.zeros((2, 64), np.int16), np.zeros((2, 64), np.int16)
    coded_as[:, 20:25] = 1
    blocks, before, after = np.array([[0, 2, 0, 2, 1, 2]]), np.array([3, 0], np.uint8), np.array([5, 5], np.uint8)
    nothing = settle(coefs, coded_as, before, after, np.zeros(2, np.uint8), blocks)
    assert nothing == coefs.sum() == 0  # what is the source's stays
    assert settle(coefs, coded_as, before, after, np.ones(2, np.uint8), blocks) == 2
    assert sorted((coefs != coded_as).sum(axis=1)) == [0, 3]


def test_where_as_many_change_as_before_nothing_settles():
    coefs, coded_as = np.zeros((2, 64), np.int16), np.ones((2, 64), np.int16)
    blocks, counts = np.array([[0, 2, 0, 2, 1, 2]]), np.array([3, 0], np.uint8)
    assert settle(coefs, coded_as, counts, counts[::-1].copy(), np.ones(2, np.uint8), blocks) == 0


@pytest.mark.parametrize("amplitude", [6.0, 8.0, 16.0])
def test_what_survives_is_neither_too_little_nor_too_much(amplitude):
    """Waves in small files with coarse tables: a step of a table is more than the mark."""
    kept = []
    for seed in range(30):
        data = as_bytes(textured(seed, 32, 32), "JPEG", quality=75)
        try:
            kept.append(mark(data, "spectral", bytes([seed + 1]), amplitude=amplitude)[1])
        except NotMarkableError:
            continue
    assert len(kept) > 5
    assert min(kept) >= MIN_SURVIVAL
    assert max(kept) <= MAX_SURVIVAL


def test_pictures_of_many_bands_settle_in_as_few_rounds_whatever_is_asked():
    """So fewer rounds would change nothing there, and are not tried."""
    assert [rounds_for(12, bands) for bands in (1, 2, 6, 7, 64, 65)] == [12, 6, 2, 1, 1, 0]
    assert [rounds_for(3, bands) for bands in (1, 2, 6, 7, 64, 65)] == [3, 1, 1, 1, 1, 0]


def test_a_moved_picture_keeps_its_detail():
    """Half pixels smooth; the numbers of coefficients of each size stay nearly as they were."""
    for seed in range(4):
        data = as_bytes(textured(seed, 128, 112), "JPEG", quality=90)
        before, after = (np.abs(read(one)[1][0].reshape(-1, 64)[:, 1:]) for one in (data, mark(data, "warp")[0]))
        assert (before != after).any()
        assert abs((after > 0).sum() - (before > 0).sum()) < 0.03 * (before > 0).sum()


@pytest.mark.parametrize("family", families())
def test_what_is_measured_of_a_picture_of_several_bands_is_what_a_decoder_reads(family):
    """Rows between bands are smoothed across, and settle from both sides."""
    data = encoded(1100, 1000, quality=80, subsampling="4:2:0")
    secret = MarkSecret.derive(b"k" * 32, BEACON, MarkSettings(groups=GROUPS, family=family))
    marked = mark_image(data, family_for(secret.settings), secret.patterns[0], (0.3, 0.7))
    before, after = (np.asarray(Image.open(io.BytesIO(one))) for one in (data, marked.data))
    assert marked.psnr == round(psnr(before, after), 3)
