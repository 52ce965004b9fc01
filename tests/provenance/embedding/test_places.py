"""Marked files are like the others of their group, where there are enough to tell."""

import json
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from provenance.embedding import comparison, places
from provenance.embedding.places import (
    FREE,
    PARTS,
    UNUSUAL,
    Parts,
    Room,
    given_out,
    in_order_of_places,
    rates,
    within_reach,
)
from provenance.embedding.propensity import FOLDS, CrossFitted
from provenance.marks.settings import MANY_SPARES
from tests.provenance.embedding.builders import GROUPS, as_bytes, embed, picture, secret_of, write_version

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
    monkeypatch.setattr(comparison, "ENOUGH", 64)


def listed(out, name: str) -> list[dict]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


def above_median(version, out) -> int:
    """How many marked files have more bytes than half of the sources of their group; all are of as many pixels."""
    found = 0
    for row in listed(out, "marked.jsonl"):
        own = [entry.size for entry in version if entry.label == row["path"].split("/")[0]]
        found += row["size"] > np.median(own)
    return found


@pytest.fixture(scope="module")
def grains(tmp_path_factory):
    with write_version(tmp_path_factory.mktemp("grains") / "version", all_sizes(60)) as version:
        yield version


def test_few_marked_files_are_spread_over_the_sizes_of_their_group(grains, tmp_path, monkeypatch):
    """A patch makes small files larger: left alone, most are among the larger half."""
    secret = secret_of(share=0.15, opacity=0.45, spares=MANY_SPARES)
    before = embed(grains, tmp_path / "before", secret)
    assert not before["passed_over"]
    monkeypatch.setattr(comparison, "ENOUGH", 64)
    monkeypatch.setattr(places, "LEAST", 20)
    facts = embed(grains, tmp_path / "out", secret)
    assert facts["marked"] == before["marked"] == 36
    assert above_median(grains, tmp_path / "before") >= 20
    assert above_median(grains, tmp_path / "out") <= 19  # of 36; half a deviation is one and a half
    reasons = Counter(row["reason"] for row in listed(tmp_path / "out", "unmarked.jsonl"))
    assert reasons[UNUSUAL] == facts["passed_over"][UNUSUAL] > 0


def test_marked_files_that_only_several_numbers_together_would_tell_are_chosen_alike():
    """Each number of a marked file is like those of others; that both are large or both small is not."""
    rng = np.random.default_rng(3)

    def rows(count: int, together: float) -> list[dict[str, float]]:
        pairs = rng.multivariate_normal([0, 0], [[1, together], [together, 1]], count)
        return [{"left": float(left), "right": float(right)} for left, right in pairs]

    others, marked = rows(800, 0.0), rows(1600, 0.7)
    learnt = [*marked[:400], *others]
    trees = CrossFitted.learnt(learnt, [True] * 400 + [False] * 800, [at % FOLDS for at in range(1200)])
    ranks = [int(trees.ranks([row], (400 + at) % FOLDS)[0]) for at, row in enumerate(others)]
    parts = Parts({(0, "PNG"): ranks})
    room, chosen = Room(len(parts)).widen(200 * parts.shares({"PNG": 1.0})), []
    for at, row in enumerate(marked):
        part = parts.part_of(0, "PNG", int(trees.ranks([row], at % FOLDS)[0]), int(rng.integers(0, 2**32)))
        if len(chosen) < 200 and room.has_place(part):
            room.take(part)
            chosen.append(row)
    assert len(chosen) == 200
    before, after = (np.mean([row["left"] * row["right"] for row in some]) for some in (marked[:200], chosen))
    assert before > 0.6
    assert after < before * 0.6


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


def test_an_interrupted_release_counts_what_is_marked_already(grains, tmp_path, monkeypatch, few_suffice):
    """And learns from the same files again, which are not marked twice."""
    monkeypatch.setattr(comparison, "LEARNT_FROM", 30)
    facts = embed(grains, tmp_path / "whole", secret_of())

    def stop(done: int, total: int, phase: str) -> None:
        if phase == "marking images" and done > 20:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        embed(grains, tmp_path / "out", secret_of(), progress=stop)
    assert embed(grains, tmp_path / "out", secret_of(), workers=1) == facts
    assert listed(tmp_path / "out", "marked.jsonl") == listed(tmp_path / "whole", "marked.jsonl")


def test_few_files_may_look_like_anything():
    parts = Parts({(0, "PNG"): range(63)})
    assert not len(parts)
    assert parts.part_of(0, "PNG", 10**9, 0) == FREE
    room = Room(len(parts))
    for _ in range(10):
        assert room.has_place(FREE)
        room.take(FREE)


def test_a_part_is_an_eighth_of_the_groups_own_files_and_the_uppermost_hundredth():
    parts = Parts({(0, "PNG"): range(799), (-1, "PNG"): range(1000, 1799), (0, "WEBP"): range(5)})
    found = [parts.part_of(0, "PNG", score, 0) for score in (0, 99, 101, 399, 401, 701, 785, 795, 10**6)]
    assert found == [0, 0, 1, 3, 4, 7, 7, 8, 8]
    assert parts.part_of(1, "PNG", 1399, 0) == 3  # a group of too few files is compared with all
    assert parts.part_of(0, "WEBP", 3, 0) == FREE
    assert parts.shares({"PNG": 0.5, "WEBP": 0.5}).tolist() == pytest.approx([1 / 16] * 7 + [0.0575, 0.005])


def test_equal_files_are_spread_by_lot():
    """Where all files look alike, so may all marked ones."""
    parts = Parts({(0, "PNG"): [3] * 1000})
    lots = np.random.default_rng(0).integers(0, 2**32, 4000).tolist()
    counts = np.bincount([parts.part_of(0, "PNG", 3, lot) for lot in lots], minlength=PARTS)
    assert abs(counts[:7] - 500).max() < 80
    assert parts.part_of(0, "PNG", 4, lots[0]) == 8


EVEN = np.array([*[1 / 8] * 7, 0.115, 0.01])


def taken(room: Room, part: int) -> int:
    """How many more files of a part have places."""
    count = 0
    while room.has_place(part):
        room.take(part)
        count += 1
    return count


def test_a_side_of_a_bound_has_half_a_deviation_more_than_its_own():
    room = Room(PARTS).widen(64 * EVEN)
    assert taken(room, 8) == 1  # the uppermost hundredth
    assert taken(room, 7) == 8  # of 8 above the last eighth, and 1.3, one is there
    assert taken(room, 4) == 25  # of 32 above the median, and 2
    assert taken(room, 0) == 9
    assert taken(room, 3) == 8  # of 40 above the third eighth, and 2, 34 are there


def test_what_one_group_took_too_much_is_missing_to_the_next():
    room = Room(PARTS).widen(64 * EVEN)
    assert taken(room, 4) == 34
    room.widen(64 * EVEN)
    assert taken(room, 4) == 33  # 64 of both, and 2.8


def test_a_room_is_full_where_sides_of_two_bounds_leave_no_part_between_them():
    """Parts 1 and up are too many for one bound, parts 4 and down for another: no candidate could fill the last two."""
    room = Room(PARTS).widen(300 * np.array([*[1 / 8] * 7, 0.115, 0.01]))
    for part, files in enumerate((33, 36, 37, 42, 44, 27, 39, 36)):
        assert not room.is_full
        room.take(part, files)
    assert not room.is_full
    room.take(8, 4)
    assert room.is_full


def test_formats_have_places_of_their_own():
    room = Room(2 * PARTS).widen(np.concatenate([64 * EVEN, 0 * EVEN]))
    assert taken(room, 4) == 34
    assert taken(room, PARTS + 4) == 1


def test_a_picture_needs_places_for_all_its_files():
    room = Room(PARTS).widen(64 * EVEN)
    assert room.has_place(4, 34)
    assert not room.has_place(4, 35)


SHARES = np.full(4, 0.25)


def reach(tried: list[int], draws: float) -> np.ndarray:
    """Over each part's share."""
    return within_reach(SHARES, draws * rates(tried, SHARES)) / SHARES


def test_a_part_without_candidates_leaves_its_places_to_the_others():
    """Such as files of a format that carries no mark."""
    found = reach([0, 1, 2, FREE] * 500, 3.0)
    assert found[:3] == pytest.approx([4 / 3] * 3, rel=0.01)
    assert found[3] < 0.02


def test_where_candidates_suffice_every_part_gets_its_own():
    assert reach([0] * 200 + [1] * 400 + [2] * 700 + [3] * 700, 3.0) == pytest.approx([1.0] * 4)


def test_what_a_part_lacks_for_want_of_draws_goes_to_all_others_alike():
    found = reach([0] * 200 + [1] * 400 + [2] * 700 + [3] * 700, 1.5)
    assert found[0] == pytest.approx(0.6, rel=0.02)
    assert found[1:] == pytest.approx([(4 - 0.6) / 3] * 3, rel=0.03)


def test_where_hardly_any_candidate_carries_a_mark_places_lie_where_those_do():
    found = reach([0] * 100 + [3] * 300 + [FREE] * 3600, 2.0)
    assert found.sum() == pytest.approx(4.0)
    assert found[3] / found[0] == pytest.approx(3, rel=0.05)


def test_few_of_a_group_are_judged_by_all_groups():
    assert rates([], SHARES) == pytest.approx(SHARES)
    assert rates([0, 0], SHARES)[0] < 0.5


def test_what_one_group_cannot_fill_other_groups_take_for_it():
    """A pattern that makes every file larger has no small ones; two others mark as many more of these."""
    even, most = np.tile(SHARES, (3, 1)), np.full((3, 4), 1.0)
    most[0, 0] = 0.0
    found = given_out(even, most, [100, 100, 100])
    assert found[0] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3])
    assert found.mean(axis=0) == pytest.approx(SHARES, abs=0.002)
    alone = np.array([within_reach(*own) for own in zip(even, most, strict=True)])
    assert alone.mean(axis=0)[0] == pytest.approx(1 / 6)


def test_larger_groups_take_over_more():
    most = np.full((2, 4), 2.0)
    most[0, 3] = 0.1
    found = given_out(np.tile(SHARES, (2, 1)), most, [50, 150])
    assert found[0, 3] == pytest.approx(0.1, abs=0.01)
    assert found[1, 3] == pytest.approx(0.3, abs=0.01)


def test_what_no_group_can_fill_goes_to_the_other_parts():
    found = given_out(np.tile(SHARES, (2, 1)), np.tile([0.1, 2.0, 2.0, 2.0], (2, 1)), [10, 20])
    assert found == pytest.approx(np.tile([0.1, 0.3, 0.3, 0.3], (2, 1)), abs=0.001)


def test_a_format_that_a_group_lacks_gets_none_of_its_marks():
    shares = np.array([[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    found = given_out(shares, np.tile([0.2, 3.0, 3.0, 3.0], (2, 1)), [10, 10])
    assert not found[0, 2:].any()
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_where_nothing_is_compared_nothing_is_given_out():
    assert given_out(np.zeros((3, 0)), np.zeros((3, 0)), [5, 5, 5]).shape == (3, 0)


@given(
    arrays(float, (4, 6), elements=st.just(0.0) | st.floats(0.001, 2)),
    st.lists(st.integers(1, 400), min_size=4, max_size=4),
)
def test_every_group_keeps_its_marks_and_no_part_gets_more_than_there_are(most, wanted):
    found = given_out(np.full((4, 6), 1 / 6), most, wanted)
    able = most.sum(axis=1) > 1
    assert found[able].sum(axis=1) == pytest.approx(np.ones(able.sum()))
    assert (found[able] <= most[able] + 1e-6).all()


@dataclass(frozen=True)
class File:
    name: int
    part: int


def test_places_that_stay_empty_go_to_others():
    """What is missing is given out as if it were all that is wanted, until hardly any finds a place."""

    def room_for(wanted: int) -> Room:
        return Room(PARTS).widen(EVEN * wanted)

    rng = np.random.default_rng(0)
    files = [File(at, int(part)) for at, part in enumerate(rng.choice([2, 5, 7], 900, p=[0.2, 0.2, 0.6]))]
    ordered = in_order_of_places(room_for, [[file] for file in files], 300)
    assert sorted(file.name for file in ordered) == list(range(900))
    assert sum(file.part == 7 for file in ordered[:300]) < 140  # the first 300 have 180


def test_files_of_a_picture_stay_together_where_places_are_given_once_more():
    pictures = [[File(2 * at, part), File(2 * at + 1, part)] for at, part in enumerate((8, 3, 3, 0))]
    ordered = in_order_of_places(lambda wanted: Room(PARTS).widen(EVEN * 8), pictures, 4)
    assert [file.name for file in ordered] == [2, 3, 4, 5, 0, 1, 6, 7]
