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

pytestmark = pytest.mark.long

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

# Of files, their measures, and sentences of refusal, since marked blocks settle.
DIGESTS = {
    "sampling 4:4:4": "4627bc7a7cd7107c",
    "sampling 4:2:2": "ecf6ea7b49b585a8",
    "sampling 4:2:0": "58b77d6c681714b3",
    "sampling 4:4:0": "e4b6955ab8204da3",
    "sampling 4:1:1": "588c8c16eaa60659",
    "sampling 4:1:0": "5c13371b0f1de7a3",
    "sampling thirds": "261c38f340afefab",
    "sampling one plane each": "5087854988398938",
    "sampling luma below": "1b2d0da5f1e2363d",
    "sampling all twice": "8b8d2ded324e2fa6",
    "coding grey": "b6b0e6d81413bed9",
    "coding grey, sampled": "0ed76d2afaac89ab",
    "coding JFIF": "6cfe7a5268cba065",
    "coding JFIF and Adobe RGB": "709838df8bacd6b6",
    "coding Adobe YCC": "5577c741423cdbda",
    "coding Adobe RGB": "2a5778c1033993da",
    "coding RGB by name": "be87789bc21fe828",
    "coding other names": "8c303425ba22537c",
    "coding CMYK": "2d33ac135b74f66a",
    "coding Adobe CMYK": "91a1c63ca62266ea",
    "coding YCCK": "a4c12f2888f2e175",
    "restarts": "5099c20fe20e1a2c",
    "a scan for each plane": "3b45d996a199b1ca",
    "coarse": "233c24f56a75c549",
    "very coarse": "2742486019431910",
    "many rows": "55a51c085d8cafa3",
    "many rows, sampled": "71660e24eccce516",
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
