"""A whole pilot with tiny networks: audited at all levels, resumed after a kill, ended by time."""

import json
from dataclasses import replace

import pytest

from audits.pilots.pilot import working
from audits.pilots.pilot.feasibility import feasibility
from audits.pilots.pilot.found import LineFound, PilotFound
from audits.pilots.pilot.pool import Others
from audits.pilots.pilot.settings import PilotError
from audits.pilots.pilot.summary import summaries
from audits.pilots.pilot.working import Work
from tests.audits.pilots.pilot import builders
from tests.audits.pilots.pilot.builders import AT_HOME, STRUCK, TINY, blocks_of_four

pytestmark = pytest.mark.suspect


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return builders.pool(tmp_path_factory.mktemp("version"))


@pytest.fixture(scope="module")
def whole(pool, tmp_path_factory):
    """The tiny pilot, made once."""
    return Work(TINY, pool, blocks_of_four(), tmp_path_factory.mktemp("work")).run()


def without_time(found):
    return [replace(one, seconds=0) for one in found.lines]


def test_every_training_is_made_and_every_suspect_is_audited_at_all_levels(whole):
    twin, struck, at_home = whole.lines
    assert whole.missing == ()
    assert twin.line.is_twin
    assert not twin.levels
    assert twin.images == struck.images == 52
    assert at_home.images == 52 - 12
    for suspect in (struck, at_home):
        assert set(suspect.levels) == {"features", "soft", "hard"}
        assert all(0 < level.p <= 1 for level in suspect.levels.values())
        assert all(level.wrong_key is not None for level in suspect.levels.values())
    assert struck.looks.marked == struck.marked >= struck.wanted == 12
    assert at_home.looks is None
    assert at_home.marked == 12
    assert at_home.queries == 12 * 4 * TINY.views
    assert set(at_home.aucs) == {"features", "soft", "hard"}
    assert all(0 <= auc <= 1 for auc in at_home.aucs["features"].values())
    assert {level: tuple(curve) for level, curve in struck.grown.items()} == dict.fromkeys(struck.levels, TINY.looks)
    assert (struck.aucs, at_home.grown, twin.grown) == ({}, {}, {})


def test_references_take_part_in_what_counts(whole):
    assert any(level.p != level.p_without for one in whole.lines for level in one.levels.values())


def test_what_was_found_comes_back_from_json(whole):
    assert PilotFound.from_json(json.loads(json.dumps(whole.to_json()))) == whole


@pytest.mark.parametrize("broken", [{}, {"format": "touchmark/pilot/1"}, {"format": "other", "lines": []}])
def test_what_no_pilot_found_is_refused(broken):
    with pytest.raises(PilotError):
        PilotFound.from_json(broken)
    with pytest.raises(PilotError):
        LineFound.from_json(broken)


def test_a_pilot_that_was_killed_goes_on_and_finds_the_same(pool, whole, tmp_path):
    class Killed(BaseException):
        """As if the process were gone."""

    def told(progress):
        if progress.line.proposal == 1 and progress.epoch:
            raise Killed

    with pytest.raises(Killed):
        Work(TINY, pool, blocks_of_four(), tmp_path, told).run()
    before = (tmp_path / "simclr-proposal-1-1.json").stat().st_mtime_ns
    again = Work(TINY, pool, blocks_of_four(), tmp_path).run()
    assert without_time(again) == without_time(whole)
    assert (tmp_path / "simclr-proposal-1-1.json").stat().st_mtime_ns == before


def test_no_training_starts_that_would_not_end_in_time(pool, tmp_path, monkeypatch):
    found = Work(replace(TINY, minutes=0.01), pool, blocks_of_four(), tmp_path).run()
    assert found.lines
    spent = sum(one.seconds for one in found.lines)
    assert len(found.lines) + len(found.missing) == 3
    if found.missing:
        assert spent + spent / len(found.lines) > 0.6
        assert found.missing[-1] == "simclr-proposal-2-1"


def test_progress_only_grows_and_says_which_training_runs(pool, tmp_path):
    seen = []
    pool = replace(pool, counts=pool.counts[1:])
    Work(replace(TINY, proposals=(AT_HOME,)), pool, blocks_of_four(), tmp_path, seen.append).run()
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert {one.line.name for one in seen} == {"simclr-twin-1", "simclr-proposal-1-1"}
    assert seen[-1].total == 200


def test_images_without_classes_are_audited_by_features_alone(tmp_path):
    settings = replace(TINY, proposals=(AT_HOME,))
    pool = builders.pool(tmp_path, settings, labelled=False)
    found = Work(settings, pool, blocks_of_four(), tmp_path / "work").run()
    assert set(found.lines[-1].levels) == {"features"}
    assert all(one.linear is None and one.nearest is None for one in found.lines)
    (summary,) = summaries(settings, found)
    assert summary.cost is None


def test_a_classifier_answers_with_its_own_labels(pool, tmp_path):
    settings = replace(TINY, methods=("supervised",), proposals=(STRUCK,))
    found = Work(settings, replace(pool, counts=pool.counts[:1]), None, tmp_path).run()
    assert set(found.lines[-1].levels) == {"features", "soft", "hard"}


def test_what_cannot_be_tried_on_these_images_is_refused_before_anything_is_trained(pool, tmp_path):
    with pytest.raises(PilotError, match="do not fill one batch"):
        working.check(replace(TINY, batch_size=48), pool, blocks_of_four())
    with pytest.raises(PilotError, match="blocks"):
        working.check(TINY, pool, None)
    bare = replace(pool, labels=None, captions=None)
    with pytest.raises(PilotError, match="class"):
        working.check(replace(TINY, methods=("supervised",)), bare, blocks_of_four())


def test_variations_are_trained_apart_and_other_labels_are_asked_of_the_planned_models(pool, tmp_path):
    varied = ("method:byol", "side:24", "mixed:0.5", "task:merged", "task:brightness")
    settings = replace(TINY, proposals=(STRUCK, AT_HOME), variations=varied, others="another")
    others = Others(pool.images[::-1].copy(), None)
    found = Work(settings, replace(pool, others=others), blocks_of_four(), tmp_path).run()
    by_name = {one.line.name: one for one in found.lines}
    assert len(by_name) == 3 + 2 * 3
    for one in found.lines[3:]:
        assert set(one.levels) == {"features", "soft", "hard"}
        assert not one.tasks
    assert by_name["simclr-proposal-1-1-mixed-0-5"].images == 2 * 52
    assert by_name["simclr-proposal-2-1-mixed-0-5"].images == 2 * 40
    planned = by_name["simclr-proposal-2-1"]
    assert {task: set(levels) for task, levels in planned.tasks.items()} == {
        "merged": {"soft", "hard"},
        "brightness": {"soft", "hard"},
    }
    assert planned.tasks["merged"]["soft"] != planned.levels["soft"]
    assert PilotFound.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert all(one.line.variation == "" for made in summaries(settings, found) for one in made.lines)
    rows = feasibility(settings, found)
    assert [row.failure for row in rows[: len(rows) // 2]] == [
        *("adaptability", "success"),
        *["portability"] * 3,
        *["assumptions"] * 2,
    ]
    assert set(rows[-1].power) == {"soft", "hard"}


@pytest.mark.parametrize(
    ("varied", "others", "says"),
    [("mixed:0.5", None, "is gone"), ("mixed:0.9", 60, "takes 468"), ("method:supervised", None, "needs a class")],
)
def test_variations_that_these_images_do_not_allow_are_refused(pool, varied, others, says):
    settings = replace(TINY, variations=(varied,), others="another")
    mixed = None if others is None else Others(pool.apart[:1].repeat(others, axis=0), None)
    with pytest.raises(PilotError, match=says):
        working.check(settings, replace(pool, others=mixed, labels=None), blocks_of_four())


def test_a_probe_for_other_labels_leaves_features_as_they_are(pool, tmp_path):
    settings = replace(TINY, proposals=(AT_HOME,), methods=("supervised",), variations=("task:brightness",))
    found = Work(settings, replace(pool, counts=pool.counts[1:]), blocks_of_four(), tmp_path).run()
    (planned,) = (one for one in found.lines if not one.line.is_twin)
    assert set(planned.tasks["brightness"]) == {"soft", "hard"}
