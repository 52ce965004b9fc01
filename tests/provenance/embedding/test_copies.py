"""A release of a version with exact copies: a marked file has no unmarked copy, and its copies have its mark."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from provenance.marks import MarkSets, MarkSettings
from provenance.marks.copies import HAS_NEAR_DUPLICATE, write_near_duplicates
from tests.provenance.embedding.builders import (
    BEACON,
    GROUPS,
    embed,
    jpeg,
    secret_of,
    tiny_jpeg,
    tree_digest,
    write_version,
)


def files(pictures: int = 24) -> dict[str, bytes]:
    """Every picture twice in its class; some in another class, too."""
    found = {}
    for g, group in enumerate(GROUPS):
        for i in range(pictures):
            found[f"{group}/{i:03d}.jpg"] = found[f"{group}/copy of {i:03d}.jpg"] = jpeg(100 * g + i)
    return found | {f"{GROUPS[(g + 1) % 4]}/strayed {g}.jpg": jpeg(100 * g) for g in range(4)}


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return write_version(tmp_path_factory.mktemp("twice"), files())


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def copies_of(digests: dict[str, str]) -> list[frozenset[str]]:
    found = defaultdict(set)
    for path, digest in digests.items():
        found[digest].add(path)
    return sorted(map(frozenset, found.values()), key=sorted)


def both(*changes: dict) -> tuple:
    marks = [MarkSettings(**{"groups": GROUPS, "share": 0.15, "opacity": 0.8, "copies": "alike", **c}) for c in changes]
    return MarkSets(tuple(marks)).derive(bytes([1]) * 32, BEACON)


@pytest.mark.parametrize("secrets", [both({}), both({}, {"association": "plain", "groups": ()})])
def test_what_was_one_picture_is_one_picture_in_the_copy(version, tmp_path, secrets):
    """The rule by which marked files were found: another file with the source's bytes, but for the patch."""
    facts = embed(version, tmp_path / "out", *secrets)
    before, after = (tree_digest(root / "files") for root in (version.folder.parent, tmp_path / "out"))
    assert copies_of(before) == copies_of(after)
    changed = {path for path in before if before[path] != after[path]}
    assert len(changed) == facts["marked"] >= 24
    assert not {before[path] for path in changed} & {after[path] for path in after}
    rows = lines(tmp_path / "out" / "marked.jsonl")
    assert {row["path"] for row in rows} == changed
    assert all(after[row["path"]] == row["new_sha256"] for row in rows)
    parts = facts.get("sets", [facts])
    assert (
        sum(part["no_candidates"].get("Its exact copies do not all lie in one group.", 0) for part in parts[:1]) == 12
    )


def test_without_the_rule_copies_give_marked_files_away(version, tmp_path):
    """Why there is one: this is what releases of before look like, and how an audit of them still sees them."""
    embed(version, tmp_path / "out", secret_of(share=0.15))
    before, after = (tree_digest(root / "files") for root in (version.folder.parent, tmp_path / "out"))
    assert copies_of(before) != copies_of(after)


@pytest.mark.parametrize("at", [0, 6, 13])
def test_a_stopped_job_resumes_to_the_same_bytes(version, tmp_path, at):
    def stop(done, total, phase):
        if phase == "marking images" and done >= at:
            raise InterruptedError

    secrets = both({"share": 0.12}, {"association": "plain", "groups": (), "share": 0.1})
    with pytest.raises(InterruptedError):
        embed(version, tmp_path / "resumed", *secrets, progress=stop)
    embed(version, tmp_path / "resumed", *secrets, workers=3)
    embed(version, tmp_path / "whole", *secrets)
    assert tree_digest(tmp_path / "resumed") == tree_digest(tmp_path / "whole")


def test_a_picture_that_cannot_be_marked_gives_its_place_with_all_its_files(tmp_path):
    found = files()
    for g, group in enumerate(GROUPS):
        for i in range(1, 24, 2):
            found[f"{group}/{i:03d}.jpg"] = found[f"{group}/copy of {i:03d}.jpg"] = tiny_jpeg(100 * g + i)
    waves = {"family": "blend", "opacity": 0.6, "amplitude": 16.0}
    with write_version(tmp_path / "version", found) as version:
        facts = embed(version, tmp_path / "out", *both(waves))
    marked, unmarked = (lines(tmp_path / "out" / f"{name}.jsonl") for name in ("marked", "unmarked"))
    assert {Counter(row["old_sha256"] for row in rows)[rows[0]["old_sha256"]] for rows in (marked, unmarked)} == {2}
    assert set(Counter(row["old_sha256"] for row in marked + unmarked).values()) == {2}
    assert sum(facts["passed_over"].values()) == len(unmarked) > 0


def test_images_with_a_near_duplicate_stay_as_they_are(version, tmp_path):
    near = np.full(len(version), -1, dtype=np.int32)
    near[::3] = 0
    digest = write_near_duplicates(version.folder.parent, near)
    facts = embed(version, tmp_path / "out", *both({"near_duplicates": digest}))
    assert not {row["position"] for row in lines(tmp_path / "out" / "marked.jsonl")} & set(range(0, len(version), 3))
    assert facts["no_candidates"][HAS_NEAR_DUPLICATE] > 0
