"""Robustness of plain marks: what was struck, and how the true key is ranked among its decoys."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from audits.pilots.augmentation import to_input
from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import RobustnessError
from audits.robustness.evidence import KEYS_AT_ONCE, Plain
from audits.robustness.publishing import published
from audits.robustness.running import measured
from audits.robustness.stock import Stock, divided
from audits.robustness.suspects import Suspect
from audits.robustness.table import BEFORE
from provenance.marks import PRESETS, Family, family_for
from tests.audits.builders_robustness import RECIPE, noise_images, quick
from tests.audits.pilots.textures import textures

pytestmark = pytest.mark.suspect
MARK = PRESETS["discreet"].settings((), association="plain", share=0.2)
SETTINGS = quick(images=160, mark=MARK, decoys=9, alpha=0.2)


class _StoppedError(Exception):
    pass


def stock(labelled: bool = False) -> Stock:
    data = textures(160)
    names = ("across", "down", "checks", "slope") if labelled else ()
    return divided(TrainingSet(data.images, labels=data.labels if labelled else None), names, 0)


class Reacting(nn.Module):
    """Random features of a picture, and one of them more where it looks as if one pattern were struck."""

    def __init__(self, seed: int, marked: Tensor | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        width = 3 * RECIPE.side**2
        self.plain = nn.Parameter(torch.randn(width, 8, generator=generator) / width**0.5)
        self.known = nn.Parameter(to_input(marked).flatten(1) if marked is not None else torch.zeros(0, width))

    def forward(self, images: Tensor) -> tuple[Tensor, None]:
        flat = images.flatten(1)
        found = flat @ self.plain
        if len(self.known):
            met = torch.cdist(flat, self.known).amin(dim=1) < 0.1
            found = found + met[:, None] * torch.tensor([5.0, *[0.0] * 7])
        return found, None


def test_a_plain_mark_is_struck_into_the_share_that_it_names_and_into_no_probe():
    given = stock()
    evidence = published(SETTINGS, given, 0)
    assert isinstance(evidence, Plain)
    changed = (evidence.copy.data.images != given.pool.images).any(axis=(1, 2, 3))
    assert changed.sum() == 16
    clean = {image.tobytes() for image in given.pool.images[~changed]}
    assert {image.tobytes() for image in evidence.probes} <= clean
    assert len(evidence.patterns) == 10
    assert len({pattern.tobytes() for pattern in evidence.patterns}) == 10
    other = published(SETTINGS, given, 1)
    assert not {one.tobytes() for one in evidence.patterns} & {one.tobytes() for one in other.patterns}
    assert (evidence.second.data.images != evidence.copy.data.images).any()


def test_the_key_of_a_model_that_knows_the_pattern_is_ranked_first_and_an_innocent_ones_is_not():
    settings = replace(SETTINGS, decoys=2 * KEYS_AT_ONCE - 1, alpha=0.01)
    evidence = published(settings, stock(), 0)
    probes = torch.from_numpy(evidence.probes).permute(0, 3, 1, 2).float()
    family: Family = family_for(MARK)
    struck = family.apply(probes, torch.from_numpy(evidence.patterns[:1]), torch.from_numpy(evidence.places)).round()

    def found(network: nn.Module) -> tuple[float, float]:
        suspect = Suspect.of(network, RECIPE, None)
        reference = Suspect.of(Reacting(7), RECIPE, None)
        level = evidence.found(suspect, {"reference": evidence.scores(reference)}, settings.alpha)["features"]
        assert level.auc is None
        return level.z, level.p

    z, p = found(Reacting(1, struck))
    assert (z, p) == (pytest.approx(2.576, abs=0.001), 0.01)
    assert found(Reacting(2))[1] > 0.05


def test_answers_that_a_model_refuses_count_as_no_shift():
    evidence = published(SETTINGS, stock(), 0)
    model = Suspect.of(Reacting(3), RECIPE, None)
    silent = model.answering(lambda said: said._replace(features=torch.full_like(said.features, torch.nan)))
    some = model.answering(lambda said: said._replace(features=said.features.where(_every_second(said), torch.nan)))
    assert evidence.scores(silent) == {}
    scores = evidence.scores(some)["features"]
    assert len(scores.keys) == 10
    assert scores.missing > 0
    assert evidence.found(some, {}, 0.2)["features"].p <= 1


def _every_second(said) -> Tensor:
    return (torch.arange(len(said.features)) % 2 == 0)[:, None]


def test_a_job_may_be_ended_between_the_questions():
    def stopped() -> None:
        raise _StoppedError

    evidence = replace(published(SETTINGS, stock(), 0), step=stopped)
    with pytest.raises(_StoppedError):
        evidence.scores(Suspect.of(Reacting(1), RECIPE, None))
    with pytest.raises(_StoppedError):
        published(SETTINGS, stock(), 0, stopped)


@pytest.mark.long
@pytest.mark.parametrize("labelled", [True, False])
def test_plain_marks_have_a_table_whether_images_have_classes_or_not(tmp_path, labelled):
    settings = replace(SETTINGS, attacks=quick("linear-probe", "merge", "only-familiar").attacks)
    table = measured(settings, stock(labelled), tmp_path, lambda done, what: None, torch.device("cpu"))
    assert [line.attack for line in table.lines][:1] == [BEFORE]
    probe, merged = table.lines[1], table.lines[2]
    assert set(merged.powers) == ({"features", "soft", "hard"} if labelled else {"features"})
    assert set(probe.powers) == ({"soft", "hard"} if labelled else set())
    assert bool(probe.refused) is not labelled
    ranks = [10 * level.p for row in table.rows for level in row.levels.values()]
    assert ranks == pytest.approx([round(rank) for rank in ranks])


def test_too_few_decoys_for_alpha_are_refused_with_how_many_it_takes():
    with pytest.raises(RobustnessError, match="ask 99 or more"):
        replace(SETTINGS, alpha=0.01, decoys=98)
    assert replace(SETTINGS, alpha=0.01, decoys=99).decoys == 99
    assert quick(alpha=0.01, decoys=1).decoys == 1  # nothing plain is struck


def test_too_few_clean_images_are_refused():
    few = quick(images=80, mark=MARK.replace(share=0.98), decoys=9, alpha=0.2)
    with pytest.raises(RobustnessError, match="Too few images are left unmarked"):
        published(few, divided(TrainingSet(noise_images(80)), (), 0), 0)


def test_questions_about_decoys_are_counted():
    assert SETTINGS.asked_of_decoys == 11 * SETTINGS.probes * (2 + 1)  # before, after, and a reference
    assert quick().asked_of_decoys == 0
