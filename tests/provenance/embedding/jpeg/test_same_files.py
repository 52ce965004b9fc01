"""Which files marking makes of JPEGs stays as it is, byte for byte: what is quicker must not be another thing.

The sources are coded by hand or by Pillow from pixels that never change; their own digests say where a codec differs.
"""

import hashlib

import pytest

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, families, family_for
from tests.provenance.embedding.builders import BEACON, GROUPS
from tests.provenance.embedding.jpeg.files import SAMPLINGS, Handmade
from tests.provenance.embedding.jpeg.test_pixels import CODINGS

SOURCES = {
    **{f"sampling {name}": {"factors": factors} for name, factors in SAMPLINGS.items()},
    **{f"coding {name}": options for name, options in CODINGS.items()},
    "restarts": {"interval": 7},
    "a scan for each plane": {"interleaved": False},
    "coarse": {"step": 4},
    "very coarse": {"step": 12},
    "many rows": {"height": 999, "width": 270, "interval": 9},
    "many rows, sampled": {"height": 801, "width": 350, "interval": 4, "factors": SAMPLINGS["4:1:0"]},
}
SIZES = [(48, 130), (99, 67)]
PLACES = [(0.3, 0.7), (0.95, 0.02)]

# Of files, their measures, and sentences of refusal, before bands of a picture were worked on one by one.
DIGESTS = {
    "sampling 4:4:4": "638ca2796ed5e6d0",
    "sampling 4:2:2": "5b2a47a72f1d6644",
    "sampling 4:2:0": "c363ae2e19dedfe0",
    "sampling 4:4:0": "6a838bc8b049f3cf",
    "sampling 4:1:1": "abbe87a71e16a5ab",
    "sampling 4:1:0": "ba02062a7d6e8ffb",
    "sampling thirds": "55efa2fc8293b8d7",
    "sampling one plane each": "0b2930bd56c911dd",
    "sampling luma below": "bdd30882a1e1e90e",
    "sampling all twice": "ddbd1ac6fac24d08",
    "coding grey": "c0aa220ca0f0c355",
    "coding grey, sampled": "e9d610625109fe5c",
    "coding JFIF": "645990008ddd9f95",
    "coding JFIF and Adobe RGB": "13b619c070536c42",
    "coding Adobe YCC": "37a7cf8f3ac0e705",
    "coding Adobe RGB": "5d4a2893fa65ef3d",
    "coding RGB by name": "45b1f8b49152c0a4",
    "coding other names": "5ef2fefc0baad124",
    "coding CMYK": "5a149ec7d0bb2e5b",
    "coding Adobe CMYK": "e35d1f511ce00308",
    "coding YCCK": "397a06a462004821",
    "restarts": "8a9494d9e7a83b83",
    "a scan for each plane": "b1a02d52725f5f42",
    "coarse": "0d0cbfc63a2cda98",
    "very coarse": "f1fce6963ab01419",
    "many rows": "9b852880f8b8f019",
    "many rows, sampled": "39507addedadb0e4",
}


def outcome(source: bytes, name: str, place: tuple[float, float]) -> str:
    secret = MarkSecret.derive(b"k" * 32, BEACON, MarkSettings(groups=GROUPS, family=name))
    try:
        marked = mark_image(source, family_for(secret.settings), secret.patterns[0], place)
    except NotMarkableError as error:
        return f"{error.sentence} {error.detail}"
    return f"{marked.sha256} {marked.crc32} {marked.mode} {marked.psnr} {marked.survival}"


def outcomes(case: str) -> list[str]:
    options = {"step": 1, **SOURCES[case]}
    sizes = [(options.pop("height"), options.pop("width"))] if "height" in options else SIZES
    sources = [Handmade(*size, **options).data() for size in sizes]
    return [
        outcome(source, name, place)
        for source, place in zip(sources, PLACES, strict=False)
        for name in sorted(families())
    ]


@pytest.mark.parametrize("case", SOURCES)
def test_marked_files_stay(case):
    assert hashlib.sha256("\n".join(outcomes(case)).encode()).hexdigest()[:16] == DIGESTS[case]
