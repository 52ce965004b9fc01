"""A marked PNG has every choice of its source's writer: filters, interlace, depth, palette, zlib, chunks."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import png as pypng
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from zlib_ng import zlib_ng

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.embedding.png import PngSource, read_png
from provenance.embedding.png.chunks import parse
from provenance.embedding.sources import decode, open_source
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, picture, secret_of
from tests.provenance.embedding.png_writer import chunk, cut, inflated, png

pytestmark = pytest.mark.long

SECRET = secret_of()
FAMILY = family_for(SECRET.settings)
PLACE = (0.4, 0.6)
PALETTE = np.random.default_rng(5).integers(0, 256, (256, 3)).astype(np.uint8)


def marked(data: bytes) -> bytes:
    return mark_image(data, FAMILY, SECRET.patterns[0], PLACE).data


def unchanged(data: bytes) -> bytes:
    """The file, written anew with the pixels that it has."""
    source = open_source(data)
    return source.write(source.raster.pixels, (0, 0, *source.raster.pixels.shape[:2]))


def shown(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def samples(colour: int, depth: int, height: int = 60, width: int = 71, seed: int = 1) -> np.ndarray:
    """A textured picture as samples of a PNG of this kind."""
    rgb = picture(seed, width, height).astype(np.int64)
    channels = {0: [0], 2: [0, 1, 2], 3: [0], 4: [1, 2], 6: [0, 1, 2, 1]}
    levels = rgb[..., channels[colour]]
    return levels * 257 + seed if depth == 16 else levels >> (8 - depth)


def before(colour: int, depth: int, alphas: bytes = b"") -> list[tuple[bytes, bytes]]:
    if colour != 3:
        return []
    parts = [(b"PLTE", PALETTE[: 2**depth].tobytes())]
    return [*parts, (b"tRNS", alphas)] if alphas else parts


def assert_as_decoded(data: bytes, colour: int, depth: int) -> None:
    """Our reader's pixels are those of Pillow, which gives the high bytes alone of 16-bit colour."""
    own, decoded = decode(data).pixels, shown(data)
    if depth == 16 and colour != 0:
        own = (own >> 8).astype(np.uint8)
        own = own[..., [0, 0, 0, 1]] if colour == 4 else own
    decoded = decoded[..., :3] if colour == 3 else decoded * np.uint8(255) if depth == 1 else decoded
    assert np.array_equal(own.reshape(decoded.shape), decoded)


def choices(data: bytes) -> dict[str, Any]:
    """What a recipient can read of a file's structure without looking at a pixel."""
    chunks = cut(data)
    sizes = [len(body) for kind, body in chunks if kind == b"IDAT"]
    stream = b"".join(body for kind, body in chunks if kind == b"IDAT")
    return {
        "chunks": [(kind, body) for kind, body in chunks if kind != b"IDAT"],
        "zlib header": stream[:2],
        "size of full chunks": max(sizes[:-1], default=0),
    }


DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KINDS = [(colour, depth) for colour, depths in DEPTHS.items() for depth in depths]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_kind_is_read_as_a_decoder_reads_it_and_written_as_it_was(colour, depth, interlaced):
    data = png(
        samples(colour, depth),
        colour,
        depth,
        filters=(1, 4, 3, 2, 0),
        interlaced=interlaced,
        before=before(colour, depth),
    )
    assert unchanged(data) == data
    assert_as_decoded(data, colour, depth)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), [kind for kind in KINDS if kind not in ((3, 1), (3, 2), (3, 4))])
def test_a_marked_file_has_the_choices_of_its_source(colour, depth, interlaced):
    data = png(
        samples(colour, depth),
        colour,
        depth,
        filters=(1, 4, 3),
        interlaced=interlaced,
        before=before(colour, depth),
        level=9,
    )
    result = marked(data)
    assert result != data
    assert choices(result) == choices(data)
    assert_as_decoded(result, colour, depth)
    differ = (decode(result).pixels != decode(data).pixels).any(axis=2)
    top, left, height, width = FAMILY.region(60, 71, PLACE)
    assert differ[top : top + height, left : left + width].any()
    differ[top : top + height, left : left + width] = False
    assert not differ.any()


def test_untouched_rows_keep_their_bytes():
    data = png(samples(2, 8), 2, filters=(1, 4, 3, 2))
    one, two = (np.frombuffer(inflated(file), np.uint8).reshape(60, -1) for file in (data, marked(data)))
    top, _, height, _ = FAMILY.region(60, 71, PLACE)
    differ = np.flatnonzero((one != two).any(axis=1))
    assert set(differ) <= set(range(top, top + height + 1))  # the row below looks up at the last one
    assert len(differ) >= height
    assert np.array_equal(one[:, 0], two[:, 0])  # no rule explains these filters, so each row keeps its own


def test_rows_of_a_writer_that_chooses_filters_by_a_rule_follow_it():
    """Pillow takes the filter with the smallest sum; writing the marked pixels by Pillow chooses the same."""
    noisy = np.clip(picture(3, 71, 60) + np.random.default_rng(0).normal(0, 3, (60, 71, 3)), 0, 255).astype(np.uint8)
    data = as_bytes(Image.fromarray(noisy), "PNG")
    result = marked(data)
    assert inflated(result) == inflated(as_bytes(Image.open(io.BytesIO(result)), "PNG"))
    kinds = [np.frombuffer(inflated(file), np.uint8).reshape(60, -1)[:, 0] for file in (data, result)]
    assert len(set(kinds[0].tolist())) > 1


class TestWriters:
    """Real encoders, each with its usual settings and others."""

    @pytest.mark.parametrize("size", [(32, 32), (300, 400)])
    @pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
    @pytest.mark.parametrize("options", [{}, {"compress_level": 1}, {"compress_level": 9}, {"optimize": True}])
    def test_pillow(self, options, mode, size):
        rng = np.random.default_rng(1)
        pixels = np.clip(picture(2, *size) + rng.normal(0, 4, (*size[::-1], 3)), 0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
        data = as_bytes(image.quantize(64) if mode == "P" else image.convert(mode), "PNG", **options)
        assert unchanged(data) == data
        if mode != "P":
            assert choices(marked(data)) == choices(data)

    @pytest.mark.parametrize(
        "options", [{}, {"compression": 9}, {"interlace": True}, {"bitdepth": 4, "greyscale": True}]
    )
    def test_pypng(self, options):
        depth = options.get("bitdepth", 8)
        colour = 0 if options.get("greyscale") else 2
        rows = samples(colour, depth).reshape(60, -1).tolist()
        stream = io.BytesIO()
        pypng.Writer(71, 60, **{"greyscale": False, **options}).write(stream, rows)
        assert unchanged(stream.getvalue()) == stream.getvalue()
        assert choices(marked(stream.getvalue())) == choices(stream.getvalue())

    @pytest.mark.parametrize("level", [1, 3, 6, 9])
    @pytest.mark.parametrize("window", [9, 12, 15])
    @pytest.mark.parametrize("memory", [8, 9])
    @pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY])
    def test_zlib(self, level, window, memory, strategy):
        data = png(samples(2, 8), 2, filters=(4,), level=level, window=window, memory=memory, strategy=strategy)
        assert unchanged(data) == data
        assert choices(marked(data)) == choices(data)

    @pytest.mark.parametrize("level", range(1, 10))
    def test_zlib_ng(self, level):
        noisy = samples(2, 8) ^ np.random.default_rng(2).integers(0, 8, (60, 71, 3))
        data = png(noisy, 2, filters=(4,), level=level, memory=9, strategy=zlib.Z_FILTERED, library=zlib_ng)
        assert unchanged(data) == data
        assert choices(marked(data)) == choices(data)

    def test_a_header_that_understates_its_window(self):
        """libpng makes the window in the header as small as the picture, whatever was used."""
        data = png(samples(2, 8), 2, filters=(4,))
        stream = b"".join(body for kind, body in cut(data) if kind == b"IDAT")
        patched = bytes([0x58, stream[1] & 0xE0]) + stream[2:]
        patched = patched[:1] + bytes([patched[1] + 31 - int.from_bytes(patched[:2], "big") % 31]) + patched[2:]
        file = data.replace(chunk(b"IDAT", stream), chunk(b"IDAT", patched))
        assert unchanged(file) == file
        assert choices(marked(file))["zlib header"] == patched[:2] != stream[:2]

    def test_what_no_known_writer_makes_is_no_candidate(self):
        deflater = zlib.compressobj(6)
        raw = inflated(png(samples(2, 8), 2))
        stream = deflater.compress(raw[:2000]) + deflater.flush(zlib.Z_FULL_FLUSH) + deflater.compress(raw[2000:])
        file = png(samples(2, 8), 2)
        own = b"".join(body for kind, body in cut(file) if kind == b"IDAT")
        with pytest.raises(NotMarkableError, match="How the PNG was compressed"):
            open_source(file.replace(chunk(b"IDAT", own), chunk(b"IDAT", stream + deflater.flush())))


class TestChunks:
    def test_what_stands_around_the_pixels_stays_in_its_order(self):
        around = {
            "before": [(b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"Title\0a cow"), (b"prIv", b"safe to copy")],
            "after": [(b"tEXt", b"Title\0another"), (b"eXIf", b"MM\0*\0\0\0\x08\0\0")],
        }
        data = png(samples(2, 8), 2, behind=bytes(64), **around)
        result = marked(data)
        assert choices(result) == choices(data)
        assert result.endswith(chunk(b"IEND", b"") + bytes(64))

    @pytest.mark.parametrize("size", [100, 1000])
    def test_pixel_data_are_cut_as_they_were(self, size):
        data = png(samples(2, 8), 2, cut=size)
        sizes = [len(body) for kind, body in cut(marked(data)) if kind == b"IDAT"]
        assert set(sizes[:-1]) == {size}
        assert 0 < sizes[-1] <= size

    def test_sizes_without_a_rule_are_no_candidates(self):
        with pytest.raises(NotMarkableError, match="by a rule that we do not know"):
            open_source(png(samples(2, 8), 2, cut=(100, 300, 50, 1 << 20)))

    def test_a_single_chunk_does_not_grow_beyond_what_its_writer_may_put_into_one(self):
        """A file of libpng has one chunk up to 8,192 bytes; a longer one would be no file of libpng."""
        smooth = np.linspace(0, 255, 71 * 60).reshape(60, 71, 1).repeat(3, axis=2).astype(np.uint8)
        source = PngSource(png(smooth, 2))
        noise = np.random.default_rng(0).integers(0, 256, smooth.shape, dtype=np.uint8)
        with pytest.raises(NotMarkableError, match="too long for one chunk"):
            source.write(noise, (0, 0, 60, 71))

    @pytest.mark.parametrize(
        ("kind", "place"),
        [(b"iDOT", "before"), (b"prIV", "before"), (b"prIV", "after"), (b"dSIG", "after"), (b"hIST", "before")],
    )
    def test_what_would_become_false_makes_no_candidate(self, kind, place):
        with pytest.raises(NotMarkableError, match=kind.decode()):
            marked(png(samples(2, 8), 2, **{place: [(kind, bytes(28))]}))

    def test_a_critical_chunk_that_nobody_knows_makes_no_candidate(self):
        with pytest.raises(NotMarkableError, match="CgBI"):
            marked(png(samples(2, 8), 2, before=[(b"CgBI", bytes(4))]))


class TestPalettes:
    def test_no_colour_is_added_and_none_that_was_unused_is_used(self):
        indices = samples(3, 8) % 60
        data = png(indices, 3, before=[(b"PLTE", PALETTE.tobytes()), (b"tRNS", b"\xff" * 50 + b"\x80" * 10)])
        source = open_source(data)
        wanted = source.raster.pixels.copy()
        wanted[..., :3] = 255 - wanted[..., :3]
        result = source.write(wanted, (0, 0, 60, 71))
        before, after = read_png(data).samples, read_png(result).samples
        assert set(np.unique(after)) <= set(np.unique(before))
        assert np.array_equal(before >= 50, after >= 50)  # alpha stays
        assert choices(result) == choices(data)
        there = (10, 20)
        colours = PALETTE[:50] if before[there] < 50 else PALETTE[50:60]
        distance = ((colours.astype(int) - wanted[there][:3]) ** 2).sum(axis=1)
        assert ((PALETTE[after[there]].astype(int) - wanted[there][:3]) ** 2).sum() == distance.min()

    def test_of_two_entries_of_one_colour_a_pixel_keeps_its_own(self):
        palette = np.array([[0, 0, 0], [90, 90, 90], [90, 90, 90], [255, 255, 255]], np.uint8)
        data = png(samples(3, 2), 3, 2, before=[(b"PLTE", palette.tobytes())])
        assert unchanged(data) == data

    def test_a_palette_too_small_for_the_mark_is_passed_over(self):
        grey = np.arange(4, dtype=np.uint8)[:, None].repeat(3, axis=1) * 85
        family = family_for(SECRET.settings.replace(opacity=0.3))
        flat = np.full((60, 71, 1), 1)
        flat[0, :4, 0] = range(4)
        with pytest.raises(NotMarkableError):
            mark_image(png(flat, 3, 2, before=[(b"PLTE", grey.tobytes())]), family, SECRET.patterns[0], PLACE)


def test_colour_of_sixteen_bits_is_marked_at_sixteen_bits():
    data = png(samples(2, 16), 2, 16, filters=(1, 4))
    one, two = decode(data).pixels, decode(marked(data)).pixels
    assert two.dtype == np.uint16
    assert len(np.unique(two & 255)) > 100
    assert np.abs(one.astype(int) - two).max() > 257


def test_sixteen_bits_made_of_eight_stay_multiples():
    data = png(samples(0, 8) * 257, 0, 16)
    one, two = decode(data).pixels, decode(marked(data)).pixels
    assert (one != two).any()
    assert not (two % 257).any()


def test_nothing_changes_where_alpha_is_zero():
    pixels = samples(6, 8)
    pixels[31:50, :, 3] = 0
    pixels[31:50, :, :3] = 0
    data = png(pixels, 6)
    after = decode(marked(data)).pixels
    assert not after[31:50].any()
    assert (after != pixels).any()


@given(st.binary(max_size=200), st.booleans())
@budget(max_examples=60, deadline=None)
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(data, is_signed):
    with pytest.raises(NotMarkableError):
        parse(b"\x89PNG\r\n\x1a\n" * is_signed + data)


@given(
    kind=st.sampled_from(KINDS), width=st.integers(1, 20), height=st.integers(1, 20), interlaced=st.booleans(),
    at=st.integers(0, 2000), value=st.integers(0, 255), mended=st.booleans(), key=st.binary(max_size=7),
)  # fmt: skip
@budget(max_examples=80, deadline=None)
def test_damaged_files_are_refused_or_read(kind, width, height, interlaced, at, value, mended, key):
    """Damage in a chunk whose checksum is right as well."""
    colour, depth = kind
    file = png(
        samples(colour, depth, height, width), colour, depth, filters=(4, 1), interlaced=interlaced,
        before=[*before(colour, depth), (b"tRNS", key)],
    )  # fmt: skip
    chunks = [(name, bytearray(body)) for name, body in cut(file)[:-1]]
    body = chunks[at % len(chunks)][1]
    if body:
        body[at % len(body)] = value
    data = file[:8] + b"".join(chunk(name, bytes(body)) for name, body in chunks)
    if not mended:
        data = data[: at % len(data)]
    try:
        source = open_source(data)
    except NotMarkableError:
        return
    assert source.write(source.raster.pixels, (0, 0, *source.raster.pixels.shape[:2])) == data


def test_metadata_of_pillow_stay():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "a cow")
    exif = Image.Exif()
    exif[0x0112] = 3
    data = as_bytes(Image.fromarray(picture(13)), "PNG", pnginfo=info, exif=exif, dpi=(72, 72))
    before, after = (Image.open(io.BytesIO(file)) for file in (data, marked(data)))
    assert before.info == after.info
    assert after.getexif()[0x0112] == 3
