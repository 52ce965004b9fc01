"""What a key marks, and how, stays as it is for good: releases that are out must be found by every later version.

The digests were taken before a release could hold several mark sets. They are of pixels and of numbers that no codec's
version changes; where one differs, releases made before can no longer be audited.
"""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from provenance.canonical import canonical_json
from tests.provenance.embedding.builders import GROUPS, as_bytes, embed, picture, secret_of, write_version

OF_THE_CODEC = ("new_sha256", "crc32", "size")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("unchanged")
    files = {
        f"{group}/{i:03d}.png": as_bytes(Image.fromarray(picture(100 * g + i)), "PNG")
        for g, group in enumerate(GROUPS)
        for i in range(20)
    }
    with write_version(root / "version", files) as version:
        facts = embed(version, root / "out", secret_of())
    return root / "out", facts


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_the_pixels_stay(release):
    out, _ = release
    whole = hashlib.sha256()
    for path in sorted((out / "files").rglob("*.png")):
        whole.update(np.asarray(Image.open(path)).tobytes())
    assert whole.hexdigest()[:16] == "56236965cec3f3e1"


def test_the_list_of_marked_images_stays(release):
    out, _ = release
    rows = [json.loads(line) for line in (out / "marked.jsonl").read_bytes().splitlines()]
    kept = [{name: value for name, value in row.items() if name not in OF_THE_CODEC} for row in rows]
    assert digest(canonical_json(kept)) == "4f2c8a6441e54da4"


def test_the_facts_stay(release):
    _, facts = release
    kept = {name: value for name, value in facts.items() if name not in ("root", "bytes")}
    assert digest(canonical_json(kept)) == "920589241b0b2a51"
