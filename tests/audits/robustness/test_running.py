"""A table is worked off row by row: what was done stays, what cannot be done says why."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audits.pilots.methods import Supervised
from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import RobustnessError
from audits.robustness.publishing import published
from audits.robustness.running import measured, seed_of
from audits.robustness.settings import RobustnessSettings
from audits.robustness.stock import Stock, divided
from audits.robustness.table import BEFORE, RobustnessTable, rows_so_far, table_of
from provenance.marks import PRESETS
from tests.audits.builders_robustness import NAMES, RECIPE, quick
from tests.audits.pilots.textures import textures

pytestmark = [pytest.mark.suspect, pytest.mark.long]
CPU = torch.device("cpu")


class KilledError(Exception):
    pass


def stock_of(settings: RobustnessSettings, labelled: bool = True) -> Stock:
    return divided(textures(settings.images), NAMES if labelled else (), settings.seed)


def worked_off(settings: RobustnessSettings, work, told=lambda done, what: None, **more) -> RobustnessTable:
    return measured(settings, stock_of(settings, **more), work, told, CPU)


def test_parts_of_a_stock_share_no_image_and_hold_the_classes_alike():
    data = textures(200)
    stock = divided(data, NAMES, 3)
    parts = [stock.pool.images, stock.others.images, stock.clean.images, stock.task.images]
    assert [len(part) for part in parts] == [100, 60, 20, 20]
    assert len({image.tobytes() for part in parts for image in part}) == len({i.tobytes() for i in data.images})
    assert np.bincount(stock.pool.labels).tolist() == [25, 25, 25, 25]
    assert np.bincount(stock.task.labels).tolist() == [5, 5, 5, 5]


def test_both_halves_of_a_task_hold_all_classes_though_a_version_is_in_the_order_of_its_folders():
    data = textures(200)
    sorted_by_class = np.argsort(data.labels, kind="stable")
    stock = divided(TrainingSet(data.images[sorted_by_class], labels=data.labels[sorted_by_class]), NAMES, 3)
    half = stock.task.half
    for labels in (stock.task.labels[:half], stock.task.labels[half:]):
        assert sorted(np.bincount(labels, minlength=4).tolist()) == [2, 2, 3, 3]


def test_what_stays_home_is_in_no_copy_and_two_keys_choose_by_themselves():
    settings = quick(images=200)
    evidence = published(settings, stock_of(settings), 0)
    home = evidence.alternatives[evidence.blocks.home]
    held = {image.tobytes() for image in evidence.copy.data.images}
    assert len(evidence.copy) == 75
    assert not held & {image.tobytes() for image in home}
    assert set(evidence.second.pictures) != set(evidence.copy.pictures)
    again, other = (published(settings, stock_of(settings), trial) for trial in (0, 1))
    assert np.array_equal(again.blocks.home, evidence.blocks.home)
    assert not np.array_equal(other.blocks.home, evidence.blocks.home)


def test_marks_are_struck_into_the_share_that_they_name_and_into_no_probe():
    settings = quick(images=160, mark=PRESETS["strong"].settings(NAMES, share=0.2))
    stock = stock_of(settings)
    evidence = published(settings, stock, 0)
    changed = (evidence.copy.data.images != stock.pool.images).any(axis=(1, 2, 3))
    assert changed.sum() == 16
    clean = {image.tobytes() for image in stock.pool.images[~changed]}
    assert {image.tobytes() for image in (*evidence.probes, *evidence.members)} <= clean
    assert np.bincount(evidence.group_of).min() > 0


def test_a_killed_run_goes_on_with_the_next_row_and_gives_the_same_table(tmp_path):
    settings = quick("jpeg-50", "int8", "prune-70")
    whole = worked_off(settings, tmp_path / "whole")
    assert [line.attack for line in whole.lines] == [BEFORE, *(attack.title for attack in settings.attacks)]
    assert all(set(line.powers) == {"features", "soft", "hard"} for line in whole.lines)
    work = tmp_path / "killed"

    def killed(done: float, what: str) -> None:
        if "pruned" in what:
            raise KilledError

    with pytest.raises(KilledError):
        worked_off(settings, work, killed)
    kept = {file: file.stat().st_mtime_ns for file in work.glob("trial-000/*.json")}
    assert len(kept) == 3
    told: list[str] = []
    table = worked_off(settings, work, lambda done, what: told.append(what))
    assert all(file.stat().st_mtime_ns == before for file, before in kept.items())
    assert not any("epoch" in what for what in told)  # nothing is trained anew
    figures = [[(row.attack, row.levels, row.accuracy) for row in one.rows] for one in (whole, table)]
    assert figures[0] == figures[1]
    assert sorted(row.attack for row in rows_so_far(work)) == sorted(row.attack for row in table.rows)
    assert table_of(table.to_json()) == table


def test_struck_marks_have_a_table_too_and_labels_alone_have_no_features(tmp_path):
    recipe = RECIPE.from_json(RECIPE.to_json() | {"method": Supervised().to_json()})
    settings = quick("linear-probe", "merge", images=160, mark=PRESETS["strong"].settings(NAMES), recipe=recipe)
    lines = {line.attack: line for line in worked_off(settings, tmp_path).lines}
    assert set(lines["labels of a linear probe only"].powers) == {"soft", "hard"}
    assert set(lines["two copies merged"].powers) == {"features", "soft", "hard"}


def test_what_cannot_be_measured_is_a_line_that_says_why(tmp_path):
    settings = quick("recaption", "smooth", "deduplicate")
    table = worked_off(settings, tmp_path, labelled=False)
    refused = {line.attack: line.refused for line in table.lines if line.refused}
    assert refused["50 % of the words replaced"] == "this method reads no captions"
    assert "no classes" in refused["answers smoothed by 30 %"]
    assert "not measured: this method reads no captions" in table.to_markdown()
    assert set(table.lines[-1].powers) == {"features"}  # without classes there is nothing else
    assert table.lines[-1].accuracy is None


def test_an_attack_that_leaves_too_few_images_is_a_row_that_says_so(tmp_path):
    from audits.robustness.attacks.leaving_out import ByDistance

    settings = quick(attacks=(ByDistance(share=0.9),))
    line = worked_off(settings, tmp_path).lines[1]
    assert line.trials == 0
    assert "do not fill one batch" in line.failed[0]


def test_a_classifier_needs_every_class_in_every_part(tmp_path):
    recipe = RECIPE.from_json(RECIPE.to_json() | {"method": Supervised().to_json()})
    settings, data = quick(recipe=recipe), textures(80)
    rare = TrainingSet(data.images, labels=np.where(np.arange(80) < 3, 4, data.labels))
    with pytest.raises(RobustnessError, match="Some class has too few images"):
        measured(settings, divided(rare, (*NAMES, "rare"), 0), tmp_path, lambda done, what: None, CPU)


def test_no_two_trainings_share_a_seed():
    names = [f"trial {trial}, {what}" for trial in range(50) for what in (BEFORE, "merge")]
    names += [f"reference {n}" for n in range(50)]
    assert len({seed_of(1, name) for name in names} | {seed_of(2, name) for name in names}) == 2 * len(names)


def test_too_few_images_are_refused_with_what_to_change():
    with pytest.raises(RobustnessError, match="no block to choose from"):
        published(quick(images=80, mark=quick().mark.__class__("0" * 64, 16, 0.05)), stock_of(quick()), 0)
