"""A marked file must not stand out by its size, where there are enough files to stand out among."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from provenance.embedding import sizes
from provenance.embedding.sizes import UNUSUAL, UsualSizes
from tests.provenance.embedding.builders import GROUPS, as_bytes, embed, jpeg, picture, secret_of, write_version


def grained(seed: int, grain: float) -> bytes:
    pixels = picture(seed) + np.random.default_rng(seed).normal(0, grain, (40, 48, 3))
    return as_bytes(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), quality=88)


@pytest.fixture
def few_suffice(monkeypatch):
    monkeypatch.setattr(sizes, "LEAST", 40)


def listed(out, name: str) -> list[dict]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def standing_out(version, out, usual: UsualSizes) -> int:
    """Marked files outside of the usual sizes, whose sources are inside."""
    found = 0
    for row in listed(out, "marked.jsonl"):
        source = version.entry(row["position"])
        found += usual.stands_out("JPEG", source.width * source.height, source.size, row["size"])
    return found


def test_marked_files_of_unusual_size_are_passed_over(tmp_path, monkeypatch):
    """Smooth pictures beside grained ones: a mark in the largest of them makes it larger than all others."""
    files = {f"{g}/{i:03d}.jpg": grained(100 * n + i, 0.25 * (i % 25)) for n, g in enumerate(GROUPS) for i in range(50)}
    with write_version(tmp_path / "version", files) as version:
        before = embed(version, tmp_path / "before", secret_of())
        monkeypatch.setattr(sizes, "LEAST", 40)
        facts = embed(version, tmp_path / "out", secret_of())
        assert facts["marked"] == before["marked"] == 40
        usual = UsualSizes.of(version)
        assert standing_out(version, tmp_path / "before", usual) > 4
        assert standing_out(version, tmp_path / "out", usual) <= 2  # where nobody was left
        reasons = Counter(row["reason"] for row in listed(tmp_path / "out", "unmarked.jsonl"))
        assert reasons[UNUSUAL] == facts["passed_over"][UNUSUAL] > 0


def test_where_every_mark_stands_out_the_first_of_them_are_marked_all_the_same(tmp_path, few_suffice):
    """Pictures as alike as scans of one page: no choice could hide a mark, and a release is still made."""
    files = {f"{g}/{i:03d}.jpg": as_bytes(_nearly_flat(100 * n + i)) for n, g in enumerate(GROUPS) for i in range(30)}
    with write_version(tmp_path / "version", files) as version:
        facts = embed(version, tmp_path / "out", secret_of())
        again = embed(version, tmp_path / "again", secret_of(), workers=1)
    assert facts == again
    assert facts["marked"] == 24
    rows = [row["position"] for name in ("marked.jsonl", "unmarked.jsonl") for row in listed(tmp_path / "out", name)]
    assert len(rows) == len(set(rows))
    assert facts["passed_over"][UNUSUAL] > 0


def _nearly_flat(seed: int) -> Image.Image:
    return Image.fromarray(np.full((40, 48, 3), 90 + seed % 7, np.uint8))


def test_few_files_have_no_usual_size(tmp_path):
    files = {f"{group}/{i}.jpg": jpeg(i) for group in GROUPS for i in range(5)}
    with write_version(tmp_path, files) as version:
        usual = UsualSizes.of(version)
    assert usual.bounds == {}
    assert not usual.stands_out("JPEG", 100, 10, 10**9)


def test_bounds_are_of_bytes_per_pixel_and_a_source_that_stands_out_may_stay_so(tmp_path, few_suffice):
    files = {f"a/{i:02d}.jpg": grained(i, 0.2 * i) for i in range(60)}
    with write_version(tmp_path, files) as version:
        usual = UsualSizes.of(version)
    low, high = usual.bounds["JPEG"]
    assert 0 < low < high
    inside, above, below = (round(bound * 10**6) for bound in ((low + high) / 2, high * 1.1, low * 0.9))
    assert usual.stands_out("JPEG", 10**6, inside, above)
    assert usual.stands_out("JPEG", 10**6, inside, below)
    assert not usual.stands_out("JPEG", 10**6, inside, inside)
    assert not usual.stands_out("JPEG", 10**6, above, above)
    assert not usual.stands_out("PNG", 10**6, inside, above)
