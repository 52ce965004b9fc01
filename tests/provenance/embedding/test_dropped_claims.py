"""A whole release of images of which some claim what marking would make false."""

import json
from collections import Counter

import pytest

from provenance.embedding.claimed import BECOMES_COPY
from provenance.intake.claims import Claim, claims_of
from provenance.intake.manifest import Manifest
from tests.provenance.embedding.builders import GROUPS, embed, jpeg, secret_of, tree_digest, write_version
from tests.provenance.embedding.carried.builders import with_segments
from tests.provenance.embedding.carried.test_claims import JUMBF, SECOND


def plain(seed: int) -> bytes:
    return jpeg(seed, quality=95, subsampling=0)  # every mark survives in it


def credentials(seed: int) -> bytes:
    return with_segments(plain(seed), (0xEB, JUMBF))


def second_picture(seed: int) -> bytes:
    return with_segments(plain(seed), (0xE2, b"MPF\0II*\0")) + SECOND


@pytest.fixture
def version(tmp_path):
    """Of each group's 30 images, every third has credentials and every fifth a further picture."""
    make = {0: credentials, 5: second_picture, 10: second_picture}
    files = {
        f"{group}/{i:03d}.jpg": make.get(i % 3 and i % 15, plain)(100 * g + i)
        for g, group in enumerate(GROUPS)
        for i in range(30)
    }
    return write_version(tmp_path / "version", files)


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def claimed(root) -> dict[str, tuple]:
    found = {str(path.relative_to(root)): claims_of(path.read_bytes()) for path in root.rglob("*.jpg")}
    return {path: claims for path, claims in found.items() if claims}


def test_without_the_choice_they_stay_unmarked_and_as_they_are(version, tmp_path):
    facts = embed(version, tmp_path / "out", secret_of())
    before, after = (tree_digest(root / "files") for root in (tmp_path / "version", tmp_path / "out"))
    marked = {row["path"] for row in lines(tmp_path / "out" / "marked.jsonl")}
    with_claims = claimed(tmp_path / "version" / "files")
    assert with_claims == claimed(tmp_path / "out" / "files")
    assert {path for path in before if before[path] != after[path]} == marked
    assert not marked & with_claims.keys()
    assert facts["passed_over"]
    assert set(facts["passed_over"]) <= {Claim.CREDENTIALS.reason, Claim.PICTURE.reason}
    assert "claims_dropped" not in facts


def test_dropped_from_all_files_they_tell_nothing(version, tmp_path):
    facts = embed(version, tmp_path / "out", secret_of(), drop_claims=True)
    with_claims = claimed(tmp_path / "version" / "files")
    counted = [sum(kind in claims for claims in with_claims.values()) for kind in (Claim.CREDENTIALS, Claim.PICTURE)]
    assert facts["claims_dropped"] == {
        "images": len(with_claims),
        "credentials": counted[0],
        "further picture": counted[1],
    }
    assert min(counted) > 0
    assert claimed(tmp_path / "out" / "files") == {}
    marked = {row["path"] for row in lines(tmp_path / "out" / "marked.jsonl")}
    assert marked & with_claims.keys()
    assert set(with_claims) - marked
    before, after = (tree_digest(root / "files") for root in (tmp_path / "version", tmp_path / "out"))
    assert {path for path in before if before[path] != after[path]} == marked | with_claims.keys()
    assert facts["passed_over"] == {}


def test_the_manifest_describes_what_was_written(version, tmp_path):
    embed(version, tmp_path / "out", secret_of(), drop_claims=True)
    after = tree_digest(tmp_path / "out" / "files")
    with Manifest(tmp_path / "out" / "manifest") as written:
        assert {entry.path: entry.sha256 for entry in written} == after
        for index, entry in enumerate(written):
            path = tmp_path / "out" / "files" / entry.path
            assert entry.size == path.stat().st_size
            assert path.stat().st_mtime_ns == version.mtime_ns(index)


def test_the_originals_stay_and_unclaimed_files_are_linked(version, tmp_path):
    before = tree_digest(tmp_path / "version")
    embed(version, tmp_path / "out", secret_of(), drop_claims=True)
    assert tree_digest(tmp_path / "version") == before
    marked = {row["path"] for row in lines(tmp_path / "out" / "marked.jsonl")}
    with_claims = claimed(tmp_path / "version" / "files")
    for entry in version:
        one, two = (tmp_path / name / "files" / entry.path for name in ("version", "out"))
        assert one.samefile(two) == (entry.path not in marked | with_claims.keys())


@pytest.mark.parametrize("phase", ["looking for claims", "marking images", "placing files", "writing the manifest"])
def test_a_stopped_job_resumes_to_the_same_bytes_and_counts(version, tmp_path, phase):
    whole = embed(version, tmp_path / "whole", secret_of(), drop_claims=True)

    def stop(done, total, name):
        if name == phase:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        embed(version, tmp_path / "stopped", secret_of(), progress=stop, drop_claims=True)
    assert embed(version, tmp_path / "stopped", secret_of(), drop_claims=True) == whole
    assert tree_digest(tmp_path / "stopped") == tree_digest(tmp_path / "whole")


def test_files_that_claim_nothing_give_the_same_copy_with_the_choice(tmp_path):
    files = {f"{group}/{i:03d}.jpg": plain(100 * g + i) for g, group in enumerate(GROUPS) for i in range(30)}
    version = write_version(tmp_path / "version", files)
    one = embed(version, tmp_path / "one", secret_of())
    two = embed(version, tmp_path / "two", secret_of(), drop_claims=True)
    assert two == {**one, "claims_dropped": {}}
    assert tree_digest(tmp_path / "one" / "files") == tree_digest(tmp_path / "two" / "files")


def test_a_strength_is_tried_on_pictures_whatever_they_carry():
    from provenance.embedding.trial import try_strength

    mark = secret_of().settings
    bare = [plain(seed) for seed in range(4)]
    carrying = [with_segments(data, (0xEB, JUMBF)) for data in bare]
    assert try_strength(carrying, mark, b"seed") == try_strength(bare, mark, b"seed")


def test_files_that_only_their_claims_keep_apart_are_marked_alike_or_not_at_all(tmp_path):
    """In each group 20 pictures are there with credentials, with a further picture and with neither; 20 others once."""
    files = {}
    for g, group in enumerate(GROUPS):
        for i in range(20):
            number = 100 * g + i
            files |= {
                f"{group}/{i}-{n}.jpg": make(number) for n, make in enumerate((credentials, second_picture, plain))
            }
            files |= {f"{group}/alone-{i}.jpg": (credentials, plain)[i % 2](number + 50)}
    version = write_version(tmp_path / "version", files)
    facts = embed(version, tmp_path / "out", secret_of(), drop_claims=True)
    assert facts["marked"] > 0
    assert facts["passed_over"][BECOMES_COPY] > 0
    assert {row["path"].split("/")[1][:5] for row in lines(tmp_path / "out" / "marked.jsonl")} == {"alone"}
    contents = Counter(tree_digest(tmp_path / "out" / "files").values())
    assert sorted(contents.values()) == [1] * 80 + [3] * 80


def test_with_their_claims_kept_such_files_are_each_their_own(tmp_path):
    files = {f"{g}/{i}.jpg": make(i) for g in GROUPS for i in range(10) for make in (plain,)}
    files |= {f"{g}/{i}-c.jpg": credentials(i) for g in GROUPS for i in range(10)}
    facts = embed(write_version(tmp_path / "version", files), tmp_path / "out", secret_of())
    assert BECOMES_COPY not in facts["passed_over"]
