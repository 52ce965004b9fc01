"""What a file claims beside its picture: found, a reason not to mark it, and dropped without touching the picture."""

import hashlib
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.carried import claims, without_claims
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.intake.claims import Claim, claims_of
from provenance.intake.images import inspect
from provenance.intake.parts import BEHIND, SCANS, parts_of
from provenance.marks import family_for
from tests.provenance.embedding.builders import as_bytes, jpeg, picture, secret_of
from tests.provenance.embedding.carried.builders import (
    XMP,
    exif,
    opened,
    photoshop,
    riff,
    thumbnail_jpeg,
    with_chunks,
    with_segments,
    xmp,
)

JUMBF = b"JP\0\1" + struct.pack(">II", 1, 40) + b"jumb" + b"\0\0\0\x1ejumdc2pa" + bytes(20)
FILM = struct.pack(">I", 24) + b"ftypmp42" + bytes(4) + b"mp42isom" + bytes(100)
SECOND = jpeg(77)
THUMB = thumbnail_jpeg(Image.fromarray(picture(1)).resize((16, 12)))
CAMERA = "http://ns.google.com/photos/1.0/camera/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
GAIN_MAP = "http://ns.adobe.com/hdr-gain-map/1.0/"
TERMS = "http://purl.org/dc/terms/"
DEPTH = "http://ns.google.com/photos/1.0/depthmap/"
LARGE = XMP.replace(b"xap/1.0", b"xmp/extension")


def png() -> bytes:
    return as_bytes(Image.fromarray(picture(3)), "PNG")


def webp(*chunks: tuple[bytes, bytes], flags: int = 0) -> bytes:
    lossless = as_bytes(Image.fromarray(picture(3)), "WEBP", lossless=True)
    bits = parts_of(lossless)[-1]
    extended = struct.pack("<I", flags) + (47).to_bytes(3, "little") + (39).to_bytes(3, "little")
    return riff((b"VP8X", extended), (b"VP8L", lossless[bits.body : bits.stop]), *chunks)


def segments(*own: tuple[int, bytes], behind: bytes = b"") -> bytes:
    return with_segments(jpeg(3), *own) + behind


def text(kind: bytes, packet: bytes) -> tuple[bytes, bytes]:
    if kind == b"iTXt":
        return kind, b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet)
    profile = b"\nxmp\n" + str(len(packet)).encode() + b"\n" + packet.hex().encode()
    return kind, b"Raw profile type xmp\0" + (b"\0" + zlib.compress(profile) if kind == b"zTXt" else profile)


CASES = {
    "C2PA in a JPEG": (segments((0xEB, JUMBF), (0xEB, JUMBF)), [Claim.CREDENTIALS]),
    "C2PA in a PNG": (with_chunks(png(), (b"caBX", JUMBF[12:])), [Claim.CREDENTIALS]),
    "C2PA in a WebP": (webp((b"C2PA", JUMBF[12:])), [Claim.CREDENTIALS]),
    "credentials elsewhere": (
        segments((0xE1, XMP + xmp(TERMS, 'x:provenance="https://c.example/1"'))),
        [Claim.CREDENTIALS],
    ),
    "layers of JPEG XT": (
        segments((0xEB, b"JP\0\1" + struct.pack(">II", 1, 30) + b"SPEC" + bytes(9))),
        [Claim.GAIN_MAP],
    ),
    "an old HDR JPEG": (segments((0xEB, b"HDR_RI ver=11")), [Claim.GAIN_MAP]),
    "gain map of ISO": (segments((0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))), [Claim.GAIN_MAP]),
    "Ultra HDR": (
        segments((0xE1, XMP + xmp(GAIN_MAP, 'x:Version="1.0"')), (0xE2, b"MPF\0II*\0"), behind=SECOND),
        [Claim.GAIN_MAP, Claim.PICTURE],
    ),
    "gain map of a PNG": (with_chunks(png(), (b"gdAT", png())), [Claim.GAIN_MAP]),
    "MPO": (segments((0xE2, b"MPF\0II*\0"), behind=SECOND), [Claim.PICTURE]),
    "a picture behind": (segments(behind=bytes(30) + SECOND), [Claim.PICTURE]),
    "a picture behind a PNG": (png() + png(), [Claim.PICTURE]),
    "a preview in a segment of its own": (segments((0xE5, b"RMETA\0" + THUMB)), [Claim.PICTURE]),
    "a preview in XMP": (
        segments((0xE1, XMP + xmp("http://ns.adobe.com/xap/1.0/g/img/", 'x:image="/9j/4AAQ"'))),
        [Claim.PICTURE],
    ),
    "a list of other pictures": (segments((0xE1, XMP + xmp(CONTAINER, 'x:Directory=""'))), [Claim.PICTURE]),
    "a raw profile with a thumbnail": (
        with_chunks(png(), (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(exif(THUMB).hex().encode()))),
        [Claim.PICTURE],
    ),
    "a depth map": (
        segments((0xE1, XMP + xmp(DEPTH, 'x:Format="RangeInverse"')), (0xE1, LARGE + b"g" * 40 + b"/9j/" * 9)),
        [Claim.DEPTH],
    ),
    "a motion photo": (segments((0xE1, XMP + xmp(CAMERA, 'x:MotionPhoto="1"')), behind=FILM), [Claim.FILM]),
    "an older motion photo": (segments((0xE1, XMP + xmp(CAMERA, 'x:MicroVideo="1"'))), [Claim.FILM]),
    "a film that nothing announces": (segments(behind=FILM), [Claim.FILM]),
    "XMP of a WebP": (webp((b"XMP ", xmp(TERMS, 'x:provenance="u"')), flags=4), [Claim.CREDENTIALS]),
    "XMP of a PNG": (with_chunks(png(), text(b"iTXt", xmp(GAIN_MAP, 'x:Version="1.0"'))), [Claim.GAIN_MAP]),
    "XMP of a PNG in hex": (with_chunks(png(), text(b"tEXt", xmp(GAIN_MAP, ""))), [Claim.GAIN_MAP]),
    "XMP of a PNG in packed hex": (with_chunks(png(), text(b"zTXt", xmp(GAIN_MAP, ""))), [Claim.GAIN_MAP]),
    "XMP in UTF-16": (segments((0xE1, XMP + xmp(GAIN_MAP, "").decode().encode("utf-16"))), [Claim.GAIN_MAP]),
}
HARMLESS = {
    "JPEG": jpeg(3),
    "progressive": jpeg(3, progressive=True),
    "PNG": png(),
    "WebP": webp(),
    "thumbnails": segments(
        (0xE1, b"Exif\0\0" + exif(THUMB)), (0xED, photoshop(THUMB, (16, 12))), (0xE0, b"JFXX\0\x10" + THUMB)
    ),
    "pixels like a JPEG's start": segments((0xE0, b"JFIF\0\1\2\0\0\1\0\1\2\1" + bytes([255, 216, 255] * 2))),
    "XMP of another kind": segments((0xE1, XMP + xmp("http://ns.adobe.com/photoshop/1.0/", 'x:City="provenance"'))),
    "a panorama": segments((0xE1, XMP + xmp("http://ns.google.com/photos/1.0/panorama/", 'x:Type="full"'))),
    "zeros behind": segments(behind=bytes(64)),
    "zeros behind a PNG": png() + bytes(64),
    "a comment": segments((0xFE, b"c2pa, MPF, hdrgm")),
    "credits": segments((0xE1, XMP + xmp(TERMS, 'x:license="CC0"'))),
}
cases = pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)


@cases
def test_a_claim_is_found(data, expected):
    assert list(claims_of(data)) == expected
    assert claims(data) == tuple(claim.reason for claim in expected)


@pytest.mark.parametrize("data", HARMLESS.values(), ids=HARMLESS)
def test_what_claims_nothing_is_left_alone(data):
    assert claims_of(data) == ()
    assert without_claims(data) is data


@cases
def test_a_claim_is_dropped_and_the_picture_stays(data, expected):
    left = without_claims(data)
    assert claims_of(left) == ()
    assert (inspect(left)[0].height, inspect(left)[0].width) == opened(data).shape[:2]
    assert opened(left).tolist() == opened(data).tolist()
    kept = {data[part.start : part.end] for part in parts_of(data) if part.kind not in ("", "VP8X", BEHIND)}
    assert {left[part.start : part.end] for part in parts_of(left) if part.kind not in ("", "VP8X")} <= kept
    assert {part.kind for part in parts_of(left)} & {SCANS, "IDAT", "VP8L"}


@cases
def test_such_an_image_is_no_candidate_until_the_claim_is_dropped(data, expected):
    secret = secret_of()
    family = family_for(secret.settings)
    with pytest.raises(NotMarkableError) as refusal:
        mark_image(data, family, secret.patterns[0], (0.4, 0.6))
    assert refusal.value.sentence == expected[0].reason
    marked = mark_image(without_claims(data), family, secret.patterns[0], (0.4, 0.6))
    assert claims_of(marked.data) == ()
    assert marked.sha256 == hashlib.sha256(marked.data).hexdigest()


def test_credentials_are_named_in_plain_words():
    assert claims(CASES["C2PA in a JPEG"][0]) == ("It carries content credentials (C2PA), which would turn invalid.",)


@pytest.mark.parametrize("gap", [0, 1])
def test_a_picture_behind_a_large_one_is_found_wherever_it_begins(gap):
    large = as_bytes(Image.fromarray(np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)))
    assert claims_of(large) == ()
    assert claims_of(large + bytes(gap) + SECOND) == (Claim.PICTURE,)


def test_other_metadata_stay():
    note, icc = (0xFE, b"a comment"), (0xE2, b"ICC_PROFILE\0\1\1" + bytes(30))
    data = segments((0xE1, b"Exif\0\0" + exif(b"")), (0xEB, JUMBF), icc, note)
    assert without_claims(data) == segments((0xE1, b"Exif\0\0" + exif(b"")), icc, note)


def test_zeros_behind_stay_where_only_credentials_go_and_go_with_a_further_picture():
    assert without_claims(segments((0xEB, JUMBF), behind=bytes(64))) == jpeg(3) + bytes(64)
    assert without_claims(segments((0xE2, b"MPF\0II*\0"), behind=bytes(64))) == jpeg(3)


def test_a_webp_says_no_longer_that_it_has_xmp():
    data = webp((b"EXIF", exif(b"")), (b"XMP ", xmp(TERMS, 'x:provenance="u"')), flags=4 | 8)
    left = without_claims(data)
    assert left == webp((b"EXIF", exif(b"")), flags=8)
    assert int.from_bytes(left[4:8], "little") == len(left) - 8
