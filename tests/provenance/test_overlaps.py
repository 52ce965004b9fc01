"""Versions that hold the same images are found, whoever they belong to and under whatever name."""

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import pytest
from django.core.management import call_command
from django.utils import timezone

from provenance.intake.contents import contents, shared
from provenance.intake.errors import ManifestError
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.writing import ManifestWriter
from provenance.models import Dataset, Overlap, Version
from provenance.services import overlaps

pytestmark = pytest.mark.django_db


def version_of(world, name: str, images: Iterable[int], organisation=None) -> Version:
    """A version with a manifest on disk that lists these images; the same number is the same file."""
    dataset = Dataset.objects.create(
        organisation=organisation or world.owner, name=name, created_by=world.rights_holder
    )
    made = Version.objects.create(
        dataset=dataset,
        number=1,
        state="ready",
        source="upload",
        source_name=f"{name}.zip",
        created_by=world.rights_holder,
        ready_at=timezone.now(),
    )
    writer = ManifestWriter(made.manifest_folder)
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in images]
    # A caption may hold anything, even what looks like another field.
    entries = [
        Entry(f"{name}/{place:05d}.png", 9, digest, "PNG", 8, 8, "RGB", caption='so "sha256":"00" he said')
        for place, digest in enumerate(digests)
    ]
    writer.write_block(0, [(entry, 0, 0) for entry in entries])
    writer.finish(1).close()
    with Manifest(made.manifest_folder) as manifest:
        made.root, made.file_count = manifest.root, len(manifest)
    made.save()
    return made


def same(version: Version) -> set[Version]:
    return set(Version.objects.filter(overlaps.same_images(version)))


def test_half_of_the_smaller_version_makes_two_the_same_images(world):
    whole = version_of(world, "whole", range(100))
    half = version_of(world, "half", range(80, 120))  # 20 of 40
    fewer = version_of(world, "fewer", [*range(19), *range(300, 321)])  # 19 of 40
    apart = version_of(world, "apart", range(200, 240))
    overlaps.compare_all()
    assert same(whole) == same(half) == {whole, half}
    assert same(fewer) == {fewer}
    assert same(apart) == {apart}
    assert {(o.shared, o.smaller) for o in Overlap.objects.all()} == {(20, 40), (19, 40)}


def test_the_same_images_are_found_from_one_version_to_the_next(world):
    one, middle, last = (version_of(world, str(n), range(20 * n, 20 * n + 40)) for n in range(3))  # 20 of 40 each
    overlaps.compare_all()
    assert not Overlap.objects.filter(one__in=(one, last), other__in=(one, last)).exists()
    assert same(one) == same(middle) == same(last) == {one, middle, last}


def test_a_version_of_a_stranger_ties_nothing_together(world):
    """Else one that holds parts of two of an owner's sets would let a run against one stop runs against the other."""
    one, last = (version_of(world, name, range(at, at + 40)) for name, at in (("one", 0), ("last", 100)))
    bridge = version_of(world, "bridge", [*range(40), *range(100, 140)], world.elsewhere)
    overlaps.compare_all()
    assert (same(one), same(last)) == ({one, bridge}, {last, bridge})
    assert same(bridge) == {one, last, bridge}


def test_filling_both_versions_up_makes_them_no_other_images(world):
    """99 images in common are few enough, among others that are at least as many on either side."""
    for common, are_same in ((100, True), (99, False)):
        shared_ones = range(10_000 * common, 10_000 * common + common)
        one, other = (version_of(world, f"{common} {at}", [*shared_ones, *range(at, at + 150)]) for at in (0, 500))
        overlaps.compare_all()
        assert same(one) == ({one, other} if are_same else {one})
        Version.objects.all().delete()


def test_many_versions_that_are_filled_up_hold_the_same_images(world):
    made = [version_of(world, f"{n}", [*range(100), *range(1000 * n, 1000 * n + 101)]) for n in range(1, 6)]
    overlaps.compare_all()
    assert all(same(one) == set(made) for one in made)
    assert {(pair.shared, pair.smaller) for pair in Overlap.objects.all()} == {(100, 201)}  # less than half


def test_sets_are_counted_as_families_are_found(world):
    """Over versions that are not asked about, by roots without a manifest, and never over a stranger's."""
    chain = [version_of(world, f"chain {n}", range(20 * n, 20 * n + 40)) for n in range(3)]
    apart = [version_of(world, f"apart {n}", range(1000 * n, 1000 * n + 40)) for n in (1, 2)]
    version_of(world, "bridge", [*range(1000, 1040), *range(2000, 2040)], world.elsewhere)
    rooted = [version_of(world, f"rooted {n}", range(5000 + 100 * n, 5040 + 100 * n)) for n in range(3)]
    Version.objects.filter(pk__in=[one.pk for one in rooted]).update(root="ab" * 32)
    overlaps.compare_all()
    for asked, sets in (([], 0), ([chain[0], chain[2]], 1), (apart, 2), (rooted, 1), ([*chain, *apart, *rooted], 4)):
        assert overlaps.count_families([one.pk for one in asked], world.owner) == sets
        assert len({frozenset(overlaps.family(one)) for one in asked}) == sets


def test_a_larger_family_takes_no_more_questions(world, django_assert_num_queries):
    made: list[Version] = []
    for _ in range(2):
        made += [version_of(world, f"{n}", range(30)) for n in range(len(made), len(made) + 4)]
        overlaps.compare_all()
        with django_assert_num_queries(8):  # two steps: from the version, and from its family
            assert len(overlaps.family(made[0])) == len(made)
        with django_assert_num_queries(3):
            assert overlaps.count_families([one.pk for one in made], world.owner) == 1


def test_a_manifest_that_is_back_is_compared_with_all_others(world, tmp_path):
    first, second = (version_of(world, name, range(30)) for name in ("first", "second"))
    overlaps.compare_all()
    first.manifest_folder.rename(tmp_path / "lost")
    later = version_of(world, "later", range(30))
    overlaps.compare_all()
    assert not Overlap.objects.filter(one__in=(first, later), other__in=(first, later)).exists()
    assert set(overlaps.not_compared()) == {first}
    (tmp_path / "lost").rename(first.manifest_folder)
    overlaps.compare_all()
    assert not overlaps.not_compared().exists()
    assert Overlap.objects.filter(one__in=(first, later), other__in=(first, later)).exists()
    assert same(later) == {first, second, later}


def test_images_of_other_organisations_count(world):
    mine = version_of(world, "mine", range(30))
    theirs = version_of(world, "theirs", range(30), world.elsewhere)
    assert mine.root != theirs.root  # other paths
    overlaps.compare_all()
    assert same(mine) == {mine, theirs}


def test_what_was_compared_is_not_read_again_and_what_comes_later_is_compared(world):
    first = version_of(world, "first", range(30))
    overlaps.compare_all()
    first.refresh_from_db()
    at = first.compared_at
    assert at is not None
    later = version_of(world, "later", range(30))
    overlaps.compare_all()
    first.refresh_from_db()
    assert first.compared_at == at
    assert same(later) == {first, later}


def test_one_root_is_the_same_images_though_a_manifest_is_missing(world):
    one, other = (version_of(world, name, range(10)) for name in ("one", "other"))
    for made in (one, other):
        for file in made.manifest_folder.iterdir():
            file.unlink()
    Version.objects.update(root="ab" * 32)
    one.refresh_from_db()
    overlaps.compare_all()
    one.refresh_from_db()
    assert one.compared_at is None  # and so it is tried again
    assert same(one) == {one, other}


def test_contents_are_kept_beside_the_manifest(world):
    made = version_of(world, "made", range(500))
    first = contents(made.manifest_folder)
    assert len(first) == 500
    assert (np.diff(first.astype(object)) > 0).all()
    (made.manifest_folder / "manifest.jsonl").unlink()
    assert shared(first, contents(made.manifest_folder)) == 500  # read from its own file
    with pytest.raises(ManifestError):
        contents(made.folder)


def test_shared_contents_are_counted_in_blocks(monkeypatch):
    monkeypatch.setattr("provenance.intake.contents._AT_ONCE", 7)
    rng = np.random.default_rng(1)
    one, other = (np.unique(rng.integers(0, 400, 150, dtype=np.uint64)) for _ in range(2))
    assert shared(one, other) == len(np.intersect1d(one, other)) > 20
    assert shared(one, np.empty(0, np.uint64)) == 0


def test_the_command_compares_what_was_read_before(world, capsys):
    for name, images in (("one", range(10)), ("other", range(5, 15)), ("third", range(9, 30))):
        version_of(world, name, images)
    call_command("compare_versions", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "compared": 3, "not_compared": 0, "pairs_with_files_in_common": 3, "pairs_of_the_same_images": 2,
    }  # fmt: skip
