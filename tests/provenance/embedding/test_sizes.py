"""Marked files are as large as the others of their group, where there are enough to tell."""

import json
from array import array
from collections import Counter
from dataclasses import astuple, dataclass

import numpy as np
import pytest
from PIL import Image

from provenance.embedding import sizes
from provenance.embedding.claimed import Claimed
from provenance.embedding.sizes import UNUSUAL, GroupSizes, Room, in_order_of_places, kinds_of
from tests.provenance.embedding.builders import (
    GROUPS,
    as_bytes,
    embed,
    jpeg,
    picture,
    secret_of,
    write_version,
)

pytestmark = pytest.mark.long


def grained(seed: int, grain: float) -> bytes:
    pixels = picture(seed) + np.random.default_rng(seed).normal(0, grain, (40, 48, 3))
    return as_bytes(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), quality=88)


def all_sizes(count: int) -> dict[str, bytes]:
    """Of every group, smooth pictures beside grained ones."""
    return {
        f"{group}/{number:03d}.jpg": grained(1000 * at + number, 0.5 * (number % 25))
        for at, group in enumerate(GROUPS)
        for number in range(count)
    }


@pytest.fixture
def few_suffice(monkeypatch):
    monkeypatch.setattr(sizes, "LEAST", 40)


def listed(out, name: str) -> list[dict]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def above_median(version, out) -> int:
    """How many marked files have more bytes than half of the sources of their group; all are of as many pixels."""
    found = 0
    for row in listed(out, "marked.jsonl"):
        own = [entry.size for entry in version if entry.label == row["path"].split("/")[0]]
        found += row["size"] > np.median(own)
    return found


def test_marked_files_are_spread_over_the_sizes_of_their_group(tmp_path, monkeypatch):
    """A patch makes small files larger: left alone, nearly all are among the larger half."""
    with write_version(tmp_path / "version", all_sizes(60)) as version:
        before = embed(version, tmp_path / "before", secret_of(share=0.2, opacity=0.6))
        monkeypatch.setattr(sizes, "LEAST", 40)
        facts = embed(version, tmp_path / "out", secret_of(share=0.2, opacity=0.6))
        assert facts["marked"] == before["marked"] == 48
        assert above_median(version, tmp_path / "before") >= 33
        assert above_median(version, tmp_path / "out") <= 34
        reasons = Counter(row["reason"] for row in listed(tmp_path / "out", "unmarked.jsonl"))
        assert reasons[UNUSUAL] == facts["passed_over"][UNUSUAL] > 0


def test_where_every_mark_stands_out_the_first_of_them_are_marked_all_the_same(tmp_path, few_suffice):
    """Pictures as alike as scans of one page: no choice could hide a mark, and a release is still made."""
    files = {f"{g}/{i:03d}.jpg": as_bytes(_nearly_flat(100 * n + i)) for n, g in enumerate(GROUPS) for i in range(50)}
    with write_version(tmp_path / "version", files) as version:
        facts = embed(version, tmp_path / "out", secret_of())
        again = embed(version, tmp_path / "again", secret_of(), workers=1)
    assert facts == again
    assert facts["marked"] == 40
    rows = [row["position"] for name in ("marked.jsonl", "unmarked.jsonl") for row in listed(tmp_path / "out", name)]
    assert len(rows) == len(set(rows))
    assert facts["passed_over"][UNUSUAL] > 0


def _nearly_flat(seed: int) -> Image.Image:
    return Image.fromarray(np.full((40, 48, 3), 90 + seed % 7, np.uint8))


def test_an_interrupted_release_counts_what_is_marked_already(tmp_path, few_suffice):
    with write_version(tmp_path / "version", all_sizes(60)) as version:
        facts = embed(version, tmp_path / "whole", secret_of())

        def stop(done: int, total: int, phase: str) -> None:
            if phase == "marking images" and done > 20:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            embed(version, tmp_path / "out", secret_of(), progress=stop)
        assert embed(version, tmp_path / "out", secret_of()) == facts
    assert listed(tmp_path / "out", "marked.jsonl") == listed(tmp_path / "whole", "marked.jsonl")


def test_few_files_may_be_of_any_size(tmp_path):
    files = {f"{group}/{i}.jpg": jpeg(i) for group in GROUPS for i in range(5)}
    with write_version(tmp_path, files) as version:
        room = GroupSizes(version, secret_of().settings, Claimed.nothing(len(version))).room(0, 1)
        for _ in range(10):
            assert room.has_place(0, 10**9)
            room.take(0, 10**9)


def test_places_are_of_bytes_per_pixel_on_either_side_of_each_eighth(tmp_path, few_suffice):
    """Of 16 marked files eight are expected above the median, and two deviations of two may be more."""
    files = {f"{group}/{i:02d}.jpg": grained(i, 0.2 * i) for group in GROUPS for i in range(80)}
    with write_version(tmp_path, files) as version:
        room = GroupSizes(version, secret_of().settings, Claimed.nothing(len(version))).room(1, 16)
        own = sorted(entry.size for entry in version if entry.label == GROUPS[1])
        position = next(at for at, entry in enumerate(version) if entry.label == GROUPS[1])

        def taken(size: int) -> int:
            count = 0
            while room.has_place(position, size):
                room.take(position, size)
                count += 1
            return count

        assert taken(own[-1] + 10**6) == 1  # the outermost hundredth
        assert taken(own[75]) == 2  # the uppermost eighth: 2 + 1.3
        assert taken(own[45]) == 7  # above the median: 8 + 2
        assert taken(own[42]) == 0
        assert taken(own[35]) == 1  # above the third eighth: 10 + 1.9
        assert taken(own[15]) == 3  # below the second: 4 + 1.7, the one above it among them


@dataclass(frozen=True)
class File:
    position: int
    size: int


def test_places_of_files_that_carry_no_mark_go_to_others_of_fitting_size():
    """Half of a group carries none, and what is marked grows by 6 %: in the key's order, two thirds would be large."""
    rng = np.random.default_rng(0)
    own = np.exp(rng.normal(0, 0.15, 2000))
    kinds = kinds_of({"PNG": array("d", own), "WEBP": array("d", own)})

    def room_for(wanted: int) -> Room:
        return Room(kinds, wanted, lambda position, size: ("PNG", size / 10**6))

    files = [File(at, int(own[at] * 1.06 * 10**6)) for at in rng.permutation(2000)[:800]]
    first, others = [], []
    room = room_for(400)
    for file in files:
        if room.has_place(*astuple(file)):
            room.take(*astuple(file))
            first.append(file)
        else:
            others.append([file])
    missing = 400 - len(first)
    assert missing > 100
    ordered = in_order_of_places(room_for, others, missing)
    assert sorted(map(astuple, ordered)) == sorted(astuple(file) for (file,) in others)

    def above(marked: list[File]) -> int:
        return sum(file.size > np.median(own) * 10**6 for file in marked)

    assert above(first + [file for (file,) in others][:missing]) > 260
    assert above(first + ordered[:missing]) < 230  # of 400: chance has 200, and ten more or fewer


def test_files_of_a_picture_stay_together_where_places_are_given_once_more():
    pictures = [[File(2 * at, size), File(2 * at + 1, size)] for at, size in enumerate((400, 150, 150, 100))]
    ordered = in_order_of_places(lambda wanted: room_of(np.linspace(1, 2, 1000), 8 * wanted), pictures, 4)
    assert [file.position for file in ordered] == [2, 3, 4, 5, 0, 1, 6, 7]


def room_of(densities: np.ndarray, wanted: int) -> Room:
    return Room(kinds_of({"PNG": array("d", densities)}), wanted, lambda position, size: ("PNG", size / 100))


def test_a_file_on_a_bound_is_on_neither_side_of_it():
    """Where all files are of one size, so may all marked ones be."""
    room = room_of(np.full(1000, 3.0), 100)
    for _ in range(100):
        assert room.has_place(0, 300)
        room.take(0, 300)
    assert room.has_place(0, 301)


def test_a_picture_needs_places_for_all_its_files():
    room = room_of(np.linspace(1, 2, 1000), 100)
    assert room.has_place(0, 195, 15)  # 12.5 above the last eighth, and 3.3
    assert not room.has_place(0, 195, 16)
    assert not room.has_place(0, 300, 12)
