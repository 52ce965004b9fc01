"""Thumbnails show the mark where the marked picture has it, and nowhere else; everything beside them stays."""

import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.carried import Seen, with_thumbnails
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.intake.parts import parts_of
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, secret_of
from tests.provenance.embedding.carried.builders import (
    PATCH,
    SIZE,
    exif,
    exif_of_strips,
    marked_pixels,
    opened,
    photoshop,
    shrunk,
    source_pixels,
    thumbnail_jpeg,
    with_chunks,
    with_segments,
)
from tests.provenance.embedding.carried.shown import (
    BLOCKS,
    OF_PICTURE,
    SMALL,
    assert_marked,
    box_of_mark,
    jpeg_pair,
    payload_of,
    png_pair,
)

pytestmark = pytest.mark.long


class TestJfif:
    def raw(self) -> np.ndarray:
        return np.asarray(shrunk(source_pixels(), SMALL))

    def test_rgb_in_the_first_segment(self):
        pixels = self.raw()
        head = b"JFIF\0\x01\x02\x00\x00\x01\x00\x01" + bytes([80, 60])
        source, marked = jpeg_pair((0xE0, head + pixels.tobytes()), bare=True)
        after = payload_of(with_thumbnails(marked, source), "APP0")
        assert after[:14] == head
        assert_marked(pixels, np.frombuffer(after[14:], np.uint8).reshape(pixels.shape), (0, 0, 60, 80), OF_PICTURE)

    def test_the_extension_in_three_ways(self):
        pixels = self.raw()
        coded = shrunk(source_pixels(), SMALL).quantize(256, dither=Image.Dither.NONE)
        palette = bytes(coded.getpalette("RGB")).ljust(768, b"\0")
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
        size = bytes([80, 60])
        segments = [b"\x10" + thumb, b"\x11" + size + palette + coded.tobytes(), b"\x13" + size + pixels.tobytes()]
        source, marked = jpeg_pair(*[(0xE0, b"JFXX\0" + body) for body in segments])
        written = with_thumbnails(marked, source)
        of_jpeg, of_palette, of_rgb = (payload_of(written, "APP0", which)[6:] for which in range(3))
        assert_marked(opened(thumb), opened(of_jpeg), (0, 0, 60, 80), BLOCKS)
        assert of_rgb[:2] == size
        assert_marked(pixels, np.frombuffer(of_rgb[2:], np.uint8).reshape(pixels.shape), (0, 0, 60, 80), OF_PICTURE)
        assert of_palette[:770] == size + palette
        colours = np.frombuffer(palette, np.uint8).reshape(256, 3)
        before = colours[np.asarray(coded)]
        after = colours[np.frombuffer(of_palette[770:], np.uint8).reshape(60, 80)]
        rows, columns = box_of_mark((0, 0, 60, 80))
        assert np.abs(before[rows, columns].astype(int) - after[rows, columns]).mean() > 20


class TestPhotoshop:
    @pytest.mark.parametrize("name", [1036, 1033])
    def test_a_jpeg_in_either_order_of_colours(self, name):
        image = shrunk(source_pixels(), SMALL)
        stored = image if name == 1036 else Image.fromarray(np.asarray(image)[:, :, ::-1])
        thumb = thumbnail_jpeg(stored, subsampling=0)
        block = photoshop(thumb, SMALL, name)
        source, marked = jpeg_pair((0xED, block))
        after = payload_of(with_thumbnails(marked, source), "APP13")
        start = block.index(thumb)
        size = struct.unpack_from(">I", after, start - 8)[0]
        drawn = after[start : start + size]
        assert_marked(opened(thumb), opened(drawn), (0, 0, 60, 80), BLOCKS)
        shown, expected = (
            opened(data)[box_of_mark((0, 0, 60, 80))].mean(axis=(0, 1))
            for data in (drawn, thumbnail_jpeg(shrunk(marked_pixels(), SMALL)))
        )
        assert np.abs((shown if name == 1036 else shown[::-1]) - expected).max() < 25
        assert after[: start - 32] == block[: start - 32]
        resource = struct.unpack_from(">I", after, start - 32)[0]
        assert resource == 28 + size
        tail = block[block.index(b"8BIM", start) :]
        assert after.endswith(tail)
        assert len(after) == start + size + (size & 1) + len(tail)

    def test_one_that_goes_on_in_another_segment_is_no_candidate(self):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
        source, marked = jpeg_pair((0xED, photoshop(thumb, SMALL)[:900]))
        with pytest.raises(NotMarkableError, match="cut off"):
            with_thumbnails(marked, source)

    def test_other_resources_alone_change_nothing(self):
        source, marked = jpeg_pair((0xED, photoshop(b"x", SMALL, 1060)))
        assert with_thumbnails(marked, source) is marked


def test_a_marked_photograph_shows_its_mark_in_its_thumbnail():
    secret = secret_of()
    family = family_for(secret.settings)
    thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL), quality=85)
    source = with_segments(as_bytes(Image.fromarray(source_pixels()), quality=90), (0xE1, b"Exif\0\0" + exif(thumb)))
    written = mark_image(source, family, secret.patterns[0], (0.5, 0.5)).data
    drawn = opened(payload_of(written, "APP1")[6 + len(exif(b"")) :])
    difference = np.abs(drawn - opened(thumb)).sum(axis=2)
    top, left, height, width = (edge // 4 for edge in family.region(SIZE[1], SIZE[0], (0.5, 0.5)))
    assert difference[top : top + height, left : left + width].mean() > 20 * np.median(difference) + 20


def test_a_picture_where_the_structure_is_damaged():
    source, marked = jpeg_pair((0xE1, b"Exif\0\0" + exif(thumbnail_jpeg(shrunk(source_pixels(), SMALL)))))
    with pytest.raises(NotMarkableError, match="damaged"):
        with_thumbnails(marked[:2] + b"?" + marked[2:], source)


@pytest.mark.parametrize(("behind", "padding"), [(b"", 0), (bytes(16), 16), (bytes(3), 4)])
def test_few_bytes_behind_a_thumbnail_stay_or_align(behind, padding):
    thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
    head = len(exif(b""))
    maker = bytes(-(head + len(thumb) + len(behind)) % 4 + (padding == 16))  # a multiple of four, or an odd number
    source, marked = png_pair(exif(thumb, maker=maker, behind=behind))
    after = payload_of(with_thumbnails(marked, source), "eXIf")
    left = len(after) - after.rindex(b"\xff\xd9") - 2
    assert (left == padding) if padding != 4 else (left < 4 and len(after) % 4 == 0)


@pytest.mark.shared
def test_photographs_that_carry_thumbnails(shared):
    """As Photoshop and cameras wrote them: twelve of thirteen are drawn anew, and show what their pictures show."""
    secret = secret_of()
    family, drawn = family_for(secret.settings), 0
    for source in photographs_with_thumbnails(shared / "data" / "photos.zip"):
        try:
            written = mark_image(source, family, secret.patterns[0], (0.3, 0.3)).data
        except NotMarkableError:
            continue
        drawn += 1
        for one, two in zip(parts_of(source), parts_of(written), strict=True):
            before, after = source[one.body : one.stop], written[two.body : two.stop]
            if one.kind in ("APP1", "APP13") and b"\xff\xd8\xff" in before:
                small, marked = (opened(data[data.index(b"\xff\xd8\xff") :]) for data in (before, after))
                size = small.shape[1::-1]
                expected = [
                    np.asarray(shrunk(opened(data).astype(np.uint8), size)).astype(int) for data in (source, written)
                ]
                alike = np.corrcoef((marked - small).ravel(), (expected[1] - expected[0]).ravel())[0, 1]
                assert alike > 0.88  # a thumbnail settles too
    assert drawn == 12


def photographs_with_thumbnails(archive) -> list[bytes]:
    with zipfile.ZipFile(archive) as files:
        photographs = [
            files.read(name) for name in sorted(files.namelist()) if name.lower().endswith((".jpg", ".jpeg"))
        ]
    return [data for data in photographs if data.count(b"\xff\xd8\xff") > 1]


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("deep", [False, True])
def test_what_marking_saw_saves_decoding_and_changes_nothing(channels, deep):
    """The thumbnail is the same whether the marked picture is decoded once more or its region is at hand."""
    before, after = (one[:, :, :channels] for one in (source_pixels(), marked_pixels()))
    scale = 257 if deep else 1
    rows, columns = PATCH
    region = (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
    held = [one[PATCH].astype(np.uint16) * scale for one in (before, after)]
    seen = Seen(before.shape[:2], region, *held, 65535 if deep else 255)
    assert seen.helps
    pixels = np.asarray(shrunk(source_pixels(), SMALL))
    pair = [as_bytes(Image.fromarray(one.squeeze()), "PNG") for one in (before, after)]
    source, marked = (with_chunks(data, (b"eXIf", exif_of_strips(pixels))) for data in pair)
    if channels == 3:
        assert with_thumbnails(marked, source, seen) == with_thumbnails(marked, source)
    change = seen.change(60, 80)
    assert (change[36:48, 52:68] != 0).any()
    change[36:48, 52:68] = 0
    assert not change.any()


def test_a_region_that_is_most_of_the_picture_is_decoded():
    whole = source_pixels()
    assert not Seen(whole.shape[:2], (0, 0, *whole.shape[:2]), whole, whole, 255).helps
    inks = np.zeros((10, 10, 4), np.uint8)
    assert not Seen((100, 100), (0, 0, 10, 10), inks, inks, 255).helps


def test_sixteen_bits_of_grey():
    grey = source_pixels()[:, :, 0].astype(np.uint16) * 257
    marked = marked_pixels()[:, :, 0].astype(np.uint16) * 257
    pixels = np.asarray(shrunk(source_pixels()[:, :, 0], SMALL)).reshape(60, 80, 1)
    pair = [
        with_chunks(as_bytes(Image.fromarray(one), "PNG"), (b"eXIf", exif_of_strips(pixels))) for one in (grey, marked)
    ]
    after = payload_of(with_thumbnails(pair[1], pair[0]), "eXIf")
    assert_marked(pixels, np.frombuffer(after[-pixels.size :], np.uint8).reshape(pixels.shape), (0, 0, 60, 80))
