"""Several mark sets in one release: a file bears one mark at most, of its own set; resumed to the same bytes."""

import json

import numpy as np
import pytest
from PIL import Image

from provenance.embedding.errors import EmbeddingError
from provenance.inspection.files import structural_features
from provenance.marks import MarkSecret, MarkSets, MarkSettings
from tests.provenance.embedding.builders import (
    BEACON,
    GROUPS,
    as_bytes,
    embed,
    jpeg_version,
    picture,
    tree_digest,
    write_version,
)

BOUND = MarkSettings(groups=GROUPS, share=0.1, opacity=1.0, size_classes=(0, 0, 1, 1))
PATCH = MarkSettings(groups=GROUPS, share=0.2, opacity=0.8)
BLEND = MarkSettings(association="plain", family="blend", amplitude=16.0, share=0.1)


def secrets(*marks: MarkSettings, key: int = 1) -> tuple[MarkSecret, ...]:
    return MarkSets(marks).derive(bytes([key]) * 32, BEACON)


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return jpeg_version(tmp_path_factory.mktemp("several") / "version", per_group=40)


@pytest.fixture(scope="module")
def whole(version, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, embed(version, out, *secrets(PATCH, BOUND, BLEND))


def test_each_marked_file_belongs_to_one_set(version, whole):
    out, facts = whole
    rows = lines(out / "marked.jsonl")
    before, after = tree_digest(version.folder.parent / "files"), tree_digest(out / "files")
    assert len({row["path"] for row in rows}) == len(rows) == facts["marked"] == 32 + 16 + 16
    assert {path for path in before if before[path] != after[path]} == {row["path"] for row in rows}
    assert [row["position"] for row in rows] == sorted(row["position"] for row in rows)
    assert [sum(row["set"] == number for row in rows) for number in (1, 2, 3)] == [32, 16, 16]


def test_each_set_has_its_own_assignment(whole):
    out, _ = whole
    every = secrets(PATCH, BOUND, BLEND)
    for row in lines(out / "marked.jsonl"):
        assert every[row["set"] - 1].assignment[row["pattern"]] == row["group"]
        if row["set"] == 2:
            assert BOUND.size_classes[row["pattern"]] == BOUND.size_classes[row["group"]]
        assert row["survival"] >= 0.7


def test_the_facts_tell_every_set_and_all_of_them(whole):
    _, facts = whole
    assert facts["settings"] == MarkSets((PATCH, BOUND, BLEND)).to_dict()
    assert [one["settings"] for one in facts["sets"]] == facts["settings"]["sets"]
    assert [one["marked"] for one in facts["sets"]] == [32, 16, 16]
    assert facts["sets"][2]["groups"] == [{"name": "all images", "images": 160, "wanted": 16, "marked": 16}]
    for name in ("psnr", "survival"):
        parts = [one[name] for one in facts["sets"]]
        assert facts[name]["minimum"] == min(part["minimum"] for part in parts)
        assert sum(n for _, n in facts[name]["histogram"]) == sum(n for part in parts for _, n in part["histogram"])
    assert "groups" not in facts
    assert ".jpg" not in json.dumps(facts)
    assert "assignment" not in json.dumps(facts)


def test_the_first_set_is_what_it_were_alone(version, whole, tmp_path):
    embed(version, tmp_path / "alone", *secrets(PATCH))
    alone = lines(tmp_path / "alone" / "marked.jsonl")
    assert [row | {"set": 1} for row in alone] == [row for row in lines(whole[0] / "marked.jsonl") if row["set"] == 1]


def test_no_set_depends_on_what_survives_of_another(tmp_path):
    """A weak warp does next to nothing to a gentle slope, so other images take its place; the second set stays."""
    slope = np.linspace(60, 80, 32)[:, None, None] + np.zeros((32, 32, 3))
    files = {}
    for g, group in enumerate(GROUPS):
        for i in range(60):
            gentle = as_bytes(Image.fromarray((slope + g + i % 30).astype(np.uint8)), "PNG")
            files[f"{group}/{i:03d}.png"] = gentle if i % 2 else as_bytes(Image.fromarray(picture(100 * g + i)), "PNG")
    found = {}
    with write_version(tmp_path / "version", files) as version:
        for bend in (0.01, 0.1):
            warp = MarkSettings(groups=GROUPS, family="warp", bend=bend, share=0.2)
            embed(version, tmp_path / str(bend), *secrets(warp, PATCH.replace(share=0.1)))
            found[bend] = lines(tmp_path / str(bend) / "marked.jsonl")
    weak, strong = ({row["path"] for row in rows if row["set"] == 1} for rows in found.values())
    assert weak != strong
    assert {row["set"] for row in lines(tmp_path / "0.01" / "unmarked.jsonl")} == {1}
    assert [row for row in found[0.01] if row["set"] == 2] == [row for row in found[0.1] if row["set"] == 2]


@pytest.mark.parametrize("at", [("choosing images", 0), ("marking images", 40), ("marking images", 64)])
def test_a_stopped_job_resumes_to_the_same_bytes(version, whole, tmp_path, at):
    def stop(done, total, phase):
        if phase == at[0] and done >= at[1]:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        embed(version, tmp_path / "out", *secrets(PATCH, BOUND, BLEND), progress=stop)
    embed(version, tmp_path / "out", *secrets(PATCH, BOUND, BLEND), workers=3)
    assert tree_digest(tmp_path / "out") == tree_digest(whole[0])


def test_progress_counts_all_sets(version, tmp_path):
    told = []
    step = {"progress": lambda done, total, phase: told.append((done, total)) if phase == "marking images" else None}
    embed(version, tmp_path / "out", *secrets(PATCH, BLEND), **step)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {48}
    assert told[-1] == (48, 48)


def test_sets_that_leave_no_clean_image_are_refused(tmp_path):
    with (
        jpeg_version(tmp_path / "version", per_group=3) as version,
        pytest.raises(EmbeddingError, match="no clean image"),
    ):
        embed(version, tmp_path / "out", *secrets(PATCH, PATCH, PATCH))


def test_secrets_of_other_settings_are_refused(version, tmp_path):
    from provenance.embedding.release import embed_release

    files = version.folder.parent / "files"
    told = {"progress": lambda done, total, phase: None, "owned": True, "workers": 1}
    with pytest.raises(EmbeddingError, match="other mark settings"):
        embed_release(version, files, tmp_path, secrets(PATCH, BLEND), MarkSets((PATCH,)), structural_features, **told)
