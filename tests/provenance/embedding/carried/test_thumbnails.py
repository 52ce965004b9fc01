"""Thumbnails show the mark where the marked picture has it, and nowhere else; everything beside them stays."""

import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.carried import Seen, with_thumbnails
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg import structure
from provenance.embedding.marking import mark_image
from provenance.intake.parts import parts_of
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, secret_of
from tests.provenance.embedding.carried.builders import (
    PATCH,
    SIZE,
    exif,
    exif_of_strips,
    letterboxed,
    marked_pixels,
    opened,
    photoshop,
    riff,
    shrunk,
    source_pixels,
    thumbnail_jpeg,
    with_chunks,
    with_segments,
    without_jfif,
)

pytestmark = pytest.mark.long

SMALL = (80, 60)
BLOCKS = 17  # pixels beside the mark that blocks of a JPEG thumbnail reach, with the colours mixed into them
OF_PICTURE = 5  # the same for blocks of a JPEG picture, in a thumbnail of a quarter of its size


def payload_of(data: bytes, kind: str, which: int = 0) -> bytes:
    part = [part for part in parts_of(data) if part.kind == kind][which]
    return data[part.body : part.stop]


def box_of_mark(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Where PATCH lies in a thumbnail whose `box` (top, left, height, width) shows the whole picture."""
    top, left, height, width = box
    rows, columns = PATCH
    down = [top + edge * height / SIZE[1] for edge in (rows.start, rows.stop)]
    across = [left + edge * width / SIZE[0] for edge in (columns.start, columns.stop)]
    return slice(round(down[0]), round(down[1])), slice(round(across[0]), round(across[1]))


def assert_marked(before: np.ndarray, after: np.ndarray, box: tuple[int, int, int, int], spill: int = 1):
    """The mark stands where it belongs, with the picture's contrast; `spill` pixels away all is as before."""
    rows, columns = box_of_mark(box)
    change = np.abs(after.astype(int) - before.astype(int))
    assert change[rows, columns].mean() > 60
    beside = np.ones(change.shape[:2], dtype=bool)
    beside[max(rows.start - spill, 0) : rows.stop + spill, max(columns.start - spill, 0) : columns.stop + spill] = False
    assert beside.any()
    assert not change[beside].any()


def png_pair(block: bytes) -> tuple[bytes, bytes]:
    source, marked = (as_bytes(Image.fromarray(pixels), "PNG") for pixels in (source_pixels(), marked_pixels()))
    return with_chunks(source, (b"eXIf", block)), with_chunks(marked, (b"eXIf", block))


def jpeg_pair(*segments: tuple[int, bytes], bare: bool = False) -> tuple[bytes, bytes]:
    pair = [as_bytes(Image.fromarray(pixels), quality=92) for pixels in (source_pixels(), marked_pixels())]
    source, marked = (with_segments(without_jfif(data) if bare else data, *segments) for data in pair)
    return source, marked


class TestExif:
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_a_jpeg_thumbnail_is_drawn_anew(self, order):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL), quality=60, subsampling=2)
        block = exif(thumb, order)
        source, marked = jpeg_pair((0xE1, b"Exif\0\0" + block))
        written = with_thumbnails(marked, source)
        after = payload_of(written, "APP1")[6:]
        start = len(block) - len(thumb)
        assert_marked(opened(thumb), opened(after[start:]), (0, 0, 60, 80), BLOCKS)
        one, two = (Image.open(io.BytesIO(data)) for data in (thumb, after[start:]))
        assert two.quantization == one.quantization
        assert two.layer == one.layer
        lengths = [
            struct.unpack_from(order + "I", data, data.index(struct.pack(order + "HH", 0x202, 4)) + 8)[0]
            for data in (block, after)
        ]
        assert lengths == [len(thumb), len(after) - start]
        at = block.index(struct.pack(order + "HH", 0x202, 4)) + 8
        assert after[:at] + after[at + 4 : start] == block[:at] + block[at + 4 : start]
        assert opened(written).tolist() == opened(marked).tolist()

    @pytest.mark.parametrize(
        "options",
        [
            {"optimize": True},
            {"progressive": True},
            {"subsampling": 0},
            {"subsampling": 1},
            {"restart_marker_blocks": 3},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    def test_it_is_coded_like_itself(self, options, mode):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL).convert(mode), **options)
        source, marked = jpeg_pair((0xE1, b"Exif\0\0" + exif(thumb)))
        drawn = payload_of(with_thumbnails(marked, source), "APP1")[6 + len(exif(b"")) :]
        assert drawn != thumb
        one, two = (structure.parse(data) for data in (thumb, drawn))
        assert [(segment.marker) for segment in two.segments] == [segment.marker for segment in one.segments]
        for kind in ("DB", "C0", "C2", "DD", "APP0"):
            assert [drawn[p.start : p.end] for p in parts_of(drawn) if p.kind == kind] == [
                thumb[p.start : p.end] for p in parts_of(thumb) if p.kind == kind
            ]
        rows, columns = box_of_mark((0, 0, 60, 80))
        assert np.abs(opened(drawn) - opened(thumb))[rows, columns].mean() > 60

    @pytest.mark.parametrize("channels", [3, 1])
    @pytest.mark.parametrize("rows", [60, 7])
    def test_uncompressed_strips_are_drawn_over(self, channels, rows):
        image = shrunk(source_pixels(), SMALL)
        pixels = np.asarray(image if channels == 3 else image.convert("L")).reshape(60, 80, channels)
        block = exif_of_strips(pixels, rows_per_strip=rows)
        source, marked = png_pair(block)
        after = payload_of(with_thumbnails(marked, source), "eXIf")
        head = len(block) - pixels.size
        assert (after[:head], len(after)) == (block[:head], len(block))
        assert_marked(pixels, np.frombuffer(after[head:], np.uint8).reshape(pixels.shape), (0, 0, 60, 80))

    @pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
    @pytest.mark.parametrize(("size", "box"), [((80, 80), (10, 0, 60, 80)), ((120, 60), (0, 20, 60, 80))])
    def test_bars_around_the_picture_stay(self, colour, size, box):
        pixels = np.asarray(letterboxed(source_pixels(), size, colour))
        block = exif_of_strips(pixels)
        source, marked = png_pair(block)
        after = payload_of(with_thumbnails(marked, source), "eXIf")
        drawn = np.frombuffer(after[-pixels.size :], np.uint8).reshape(pixels.shape)
        assert_marked(pixels, drawn, box)
        top, left, height, width = box
        bars = np.ones(pixels.shape[:2], dtype=bool)
        bars[top : top + height, left : left + width] = False
        assert (drawn[bars] == pixels[bars]).all()

    def test_a_thumbnail_that_is_cut_shows_what_is_left_of_the_mark(self):
        # The middle 240 x 240 of 320 x 240 pixels.
        pixels = np.asarray(Image.fromarray(source_pixels()[:, 40:280]).resize((60, 60), Image.Resampling.BICUBIC))
        source, marked = png_pair(exif_of_strips(pixels))
        after = payload_of(with_thumbnails(marked, source), "eXIf")
        change = np.abs(np.frombuffer(after[-pixels.size :], np.uint8).reshape(pixels.shape).astype(int) - pixels)
        rows, columns = np.nonzero(change.sum(axis=2))
        assert (rows.min(), rows.max()) == (144 // 4, 192 // 4 - 1)
        assert (columns.min(), columns.max()) == ((208 - 40) // 4, (272 - 40) // 4 - 1)

    def test_a_thumbnail_that_stands_upright_beside_a_turned_picture(self):
        upright = np.rot90(source_pixels(), -1)  # as EXIF orientation 6 shows it
        pixels = np.asarray(Image.fromarray(upright).resize((60, 80), Image.Resampling.BICUBIC))
        as_stored = np.asarray(shrunk(source_pixels(), SMALL))
        stored_change, turned_change = (
            self.change_of(with_thumbnails(*reversed(self.turned_pair(one))), one) for one in (as_stored, pixels)
        )
        assert stored_change.any()
        assert (np.rot90(stored_change, -1) == turned_change).mean() > 0.99

    def turned_pair(self, pixels: np.ndarray) -> tuple[bytes, bytes]:
        block = bytearray(exif_of_strips(pixels))
        block[8 + 2 + 8 : 8 + 2 + 10] = struct.pack(">H", 6)
        return png_pair(bytes(block))

    def change_of(self, written: bytes, pixels: np.ndarray) -> np.ndarray:
        after = payload_of(written, "eXIf")[-pixels.size :]
        return (np.frombuffer(after, np.uint8).reshape(pixels.shape) != pixels).any(axis=2)

    def test_webp_with_and_without_the_name_before_it(self):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
        for head in (b"", b"Exif\0\0"):
            source, marked = (self.webp(pixels, head + exif(thumb)) for pixels in (source_pixels(), marked_pixels()))
            written = with_thumbnails(marked, source)
            assert int.from_bytes(written[4:8], "little") == len(written) - 8
            assert [part.kind for part in parts_of(written)] == [part.kind for part in parts_of(marked)]
            assert payload_of(written, "VP8L") == payload_of(marked, "VP8L")
            after = payload_of(written, "EXIF")
            assert_marked(opened(thumb), opened(after[after.index(b"\xff\xd8\xff") :]), (0, 0, 60, 80), BLOCKS)

    def webp(self, pixels: np.ndarray, block: bytes) -> bytes:
        lossless = as_bytes(Image.fromarray(pixels), "WEBP", lossless=True)
        bits = parts_of(lossless)[-1]
        extended = struct.pack("<I", 0x08) + (SIZE[0] - 1).to_bytes(3, "little") + (SIZE[1] - 1).to_bytes(3, "little")
        return riff((b"VP8X", extended), (b"VP8L", lossless[bits.body : bits.stop]), (b"EXIF", block))

    def test_an_area_of_fixed_size_keeps_its_size(self):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
        for inside in (True, False):
            padded = thumb + bytes(6000 - len(thumb))
            block = exif(padded) if inside else exif(thumb, behind=bytes(6000 - len(thumb)))
            source, marked = png_pair(block)
            after = payload_of(with_thumbnails(marked, source), "eXIf")
            assert after != block
            assert len(after) == len(block)
            at = block.index(struct.pack("<HH", 0x202, 4)) + 8
            assert (after[at : at + 4] == block[at : at + 4]) == inside
            end = after.rindex(b"\xff\xd9") + 2
            assert not any(after[end:])

    def test_what_stands_behind_a_thumbnail_is_not_moved(self):
        thumb = thumbnail_jpeg(shrunk(source_pixels(), SMALL))
        source, marked = png_pair(exif(thumb, behind=b"a table that others point to"))
        with pytest.raises(NotMarkableError, match="does not fit into its place"):
            with_thumbnails(marked, source)

    def test_a_thumbnail_that_outgrows_its_segment(self):
        noise = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        flat = np.full_like(noise, 128)
        thumb = thumbnail_jpeg(Image.fromarray(flat), quality=100, subsampling=0)
        segment = (0xE1, b"Exif\0\0" + exif(thumb))
        source, marked = (with_segments(as_bytes(Image.fromarray(p), quality=95), segment) for p in (flat, noise))
        with pytest.raises(NotMarkableError, match="does not fit"):
            with_thumbnails(marked, source)

    @pytest.mark.parametrize(
        ("block", "why"),
        [
            (exif(thumbnail_jpeg(shrunk(source_pixels(9), SMALL))), "shows another picture"),
            (
                exif(
                    thumbnail_jpeg(shrunk(source_pixels(), SMALL)),
                    maker=b"note" + thumbnail_jpeg(shrunk(source_pixels(), SMALL)),
                ),
                "a preview beside",
            ),
            (exif(thumbnail_jpeg(shrunk(source_pixels(), SMALL))[:-40]), "cut off"),
            (exif(thumbnail_jpeg(shrunk(source_pixels(), SMALL)), length=100_000), "cut off"),
            (exif(b"II*\0 another TIFF"), "of a form"),
            (exif(as_bytes(shrunk(source_pixels(), SMALL).convert("CMYK"))), "of a form"),
        ],
        ids=["stale", "preview", "cut", "too long", "no JPEG", "CMYK"],
    )
    def test_what_cannot_be_drawn_anew_is_no_candidate(self, block, why):
        source, marked = png_pair(block)
        with pytest.raises(NotMarkableError, match=why):
            with_thumbnails(marked, source)

    def test_without_a_thumbnail_nothing_is_written(self):
        for block in (b"", b"II*\0", exif(b"")[:40]):
            source, marked = png_pair(block)
            assert with_thumbnails(marked, source) is marked


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
