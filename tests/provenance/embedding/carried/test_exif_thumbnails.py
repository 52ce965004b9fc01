"""Thumbnails in EXIF show the mark where the marked picture has it, and nowhere else."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.carried import with_thumbnails
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.jpeg import structure
from provenance.intake.parts import parts_of
from tests.provenance.embedding.builders import as_bytes
from tests.provenance.embedding.carried.builders import (
    SIZE,
    exif,
    exif_of_strips,
    letterboxed,
    marked_pixels,
    opened,
    riff,
    shrunk,
    source_pixels,
    thumbnail_jpeg,
    with_segments,
)
from tests.provenance.embedding.carried.shown import (
    BLOCKS,
    SMALL,
    assert_marked,
    box_of_mark,
    jpeg_pair,
    payload_of,
    png_pair,
)

pytestmark = pytest.mark.long


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
