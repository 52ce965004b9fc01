"""A plan whose p with references counts is refused where a rigged reference would go unnoticed."""

import json

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from audits.judging.assignments import CorrectedP, Rules, conclude
from audits.judging.ranks import KeyScores, judge_ranks, rank_level
from audits.models import Plan
from audits.services.plans.drafting import save_draft
from audits.services.plans.frozen import stopping_rule
from audits.services.plans.locking import lock
from audits.services.plans.reference_checks import check_rigged_references_are_told
from audits.services.plans.values import PlanError
from audits.statistics.density import DensityScores
from provenance.marks import MarkSettings
from tests.audits.builders_plans import as_form, changed, connected, plan_values
from tests.audits.builders_reports import model

pytestmark = pytest.mark.django_db

PLAIN = MarkSettings(association="plain", share=0.1)


def associated(groups: int, **more) -> MarkSettings:
    return MarkSettings(groups=tuple(f"group {number}" for number in range(groups)), share=0.1, **more)


def planned(world, references: int, *sets: MarkSettings, **more):
    """A plan with so many references whose p with them counts; its release is marked with these sets."""
    values = plan_values(world)
    (made,) = values.releases
    made.key.settings = sets[0].to_dict() if len(sets) == 1 else {"sets": [one.to_dict() for one in sets]}
    made.key.save()
    used = [model(world.owner, world.auditor, f"reference-{n}", "reference") for n in range(1, references + 1)]
    for reference in used:
        connected(reference)
    return changed(values, references=used, decide_with_references=True, **more)


@pytest.mark.parametrize(
    ("references", "sets", "more", "remedies"),
    [
        (2, (PLAIN,), {}, "at least 399 decoy keys, or at most 1 reference, or to let the p without"),
        (1, (PLAIN,), {"decoys": 198}, "Choose at least 199 decoy keys, or to let the p without references count"),
        (3, (PLAIN,), {"decoys": 1, "alpha": 1e-4}, "Choose to let the p without"),
        (1, (associated(5),), {}, "Choose to let the p without references count"),
        (4, (associated(6),), {}, "Choose at most 3 references, or to let"),
        (2, (associated(10),), {"permutations": 1000, "alpha": 1e-3}, "at least 3,999 permutations, or to let"),
        (2, (PLAIN, associated(6)), {"decoys": 799}, "at most 1 reference, or to let"),
        (1, (PLAIN, associated(6)), {}, "at least 399 decoy keys, or to let"),
        (1, (associated(6), associated(6, size_classes=(0, 0, 0, 1, 1, 1))), {}, "Choose to let"),
        (3, (PLAIN,), {"decoys": 999, "exceedances": 1}, "at least 5 exceedances before the stop, or at most 1 ref"),
        (3, (PLAIN,), {"exceedances": 1}, "at least 599 decoy keys and at least 5 exceedances before the stop, or"),
    ],
)
def test_what_could_not_tell_a_rigged_reference_is_refused_and_says_what_would_do(
    world, references, sets, more, remedies
):
    with pytest.raises(PlanError) as refused:
        check_rigged_references_are_told(planned(world, references, *sets, **more))
    assert "a rigged reference would go unnoticed" in refused.value.sentence
    assert remedies in refused.value.sentence


@pytest.mark.parametrize(
    ("references", "sets", "more"),
    [
        (1, (PLAIN,), {}),
        (2, (PLAIN,), {"decoys": 399}),
        (3, (PLAIN,), {"decoys": 599, "exceedances": 5}),
        (3, (PLAIN,), {"decoys": 599, "exceedances": 0}),
        (3, (associated(6),), {}),
        (2, (associated(10),), {"permutations": 3999, "alpha": 1e-3}),
        (1, (PLAIN, associated(6)), {"decoys": 399}),
    ],
)
def test_what_can_tell_them_is_locked(world, references, sets, more):
    values = planned(world, references, *sets, **more)
    assert lock(save_draft(values, by=world.auditor), by=world.auditor).is_locked


def test_two_references_whose_p_does_not_count_need_no_more_decoys(world):
    values = changed(planned(world, 2, PLAIN), decide_with_references=False)
    assert lock(save_draft(values, by=world.auditor), by=world.auditor).is_locked


def test_a_draft_from_before_is_not_locked(world):
    draft = save_draft(planned(world, 2, PLAIN, decoys=399), by=world.auditor)
    Plan.objects.filter(pk=draft.pk).update(decoys=199)
    with pytest.raises(PlanError, match="at least 399 decoy keys"):
        lock(draft, by=world.auditor)


def test_the_form_and_its_live_box_and_the_command_refuse_it_alike(world, sign_in, capsys):
    values = planned(world, 2, PLAIN)
    names = [reference.pk for reference in values.references]
    chosen = as_form(values, counted="with", references=names, decoys=199, exceedances=20)
    browser = sign_in(world.auditor)
    assert "at least 399 decoy keys" in browser.get(reverse("plan_forecast"), chosen).content.decode()
    refused = browser.post(reverse("plan_new"), chosen)
    assert (refused.status_code, Plan.objects.count()) == (422, 0)
    assert "at least 399 decoy keys" in refused.content.decode()
    words = ["--as", "adam", "--dataset", "Meadows", "--suspect", "suspect-1", "--count-with-references", "--json"]
    with pytest.raises(SystemExit):
        call_command("plan_audit", *words, "--reference", "reference-1", "--reference", "reference-2")
    assert "at least 399 decoy keys" in json.loads(capsys.readouterr().out)["error"]
    assert browser.post(reverse("plan_new"), chosen | {"counted": "without"}).status_code == 302


@pytest.mark.parametrize(("decoys", "told"), [(199, ()), (399, ("one", "other"))])
def test_with_as_many_decoys_as_it_asks_for_rigged_references_are_told_and_convict_nobody(world, decoys, told):
    """An innocent, and references that answer all keys as it does, but for what they were trained to do at the true."""
    values = planned(world, 2, PLAIN, decoys=decoys, exceedances=0)
    rng = np.random.default_rng(3)
    common = rng.normal(0.0, 0.2, (decoys + 1, 3))

    def scores(shift: float) -> KeyScores:
        moved = np.exp(common + rng.normal(0.0, 0.01, common.shape))
        moved[0] *= np.exp(shift)
        return KeyScores(tuple(DensityScores(0.0, *row) for row in moved))

    suspect, references = scores(0.0), {"one": scores(1.2), "other": scores(1.2)}
    rules = Rules("ab" * 32, "features", values.alpha, 1000, decide_with_references=True)
    found = judge_ranks(rank_level(suspect, references, stopping_rule(values)), suspect, references, rules)
    assert found.p_without > values.alpha >= found.p
    assert found.tainted == told
    assert conclude(found, CorrectedP(found.p, found.smallest_p), rules)[0] == (
        "inconclusive" if told else "evidence"
    )  # why 199 are refused
