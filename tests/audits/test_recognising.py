"""Models are compared before the lock in which they are recognised, and no two that meet there are missed."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from django.db import connection, transaction

from audits.models import RegisteredModel
from audits.services.models import identity
from audits.services.models.identity import compare, keep_identity, recognise, registrations_of
from audits.suspects.geometry import NOISE_IMAGES
from audits.suspects.identity import Identity, identity_of
from tests.audits.builders_reports import model, sha
from tests.audits.suspects.models import FEATURES, told
from tests.world import World


def answers(seed: int, change: float = 0.0) -> Identity:
    rows = np.random.default_rng(seed).normal(size=(NOISE_IMAGES, 20))
    rows += change * np.random.default_rng(99).normal(size=rows.shape)
    return identity_of(told(sha(f"{seed} {change}"), **FEATURES), {"1 64": rows.astype(np.float32)})


def recognised(world: World, name: str, found: Identity) -> RegisteredModel:
    """As a connection test leaves it."""
    made = model(world.owner, world.auditor, name)
    keep_identity(made, found)
    with transaction.atomic():
        recognise(made, compare(made))
    made.refresh_from_db()
    return made


@pytest.fixture
def opened(monkeypatch) -> list[object]:
    """Identities that are read and compared from now on."""
    read: list[object] = []
    real = identity.likeness
    monkeypatch.setattr(identity, "likeness", lambda one, other: read.append(other) or real(one, other))
    return read


@pytest.mark.django_db
def test_what_was_compared_before_the_lock_is_not_compared_in_it(world, opened):
    known = [recognised(world, f"known {n}", answers(n)) for n in range(4)]
    mine = model(world.owner, world.auditor, "mine")
    keep_identity(mine, answers(2, 1e-3))
    compared = compare(mine)
    opened.clear()
    recognise(mine, compared)
    assert opened == []
    assert set(registrations_of(known[2])) == {mine, known[2]}


@pytest.mark.django_db
def test_what_is_tested_between_comparison_and_lock_is_compared_in_it(world, opened):
    recognised(world, "known", answers(1))
    changed = recognised(world, "changed", answers(2))
    mine = model(world.owner, world.auditor, "mine")
    keep_identity(mine, answers(3))
    compared = compare(mine)
    new = recognised(world, "new", answers(3, 1e-3))
    keep_identity(changed, answers(3, -1e-3))
    opened.clear()
    recognise(mine, compared)
    assert len(opened) == 2
    assert set(registrations_of(mine)) == {mine, new, changed}


@pytest.mark.django_db
def test_a_comparison_of_an_identity_that_was_taken_anew_counts_for_nothing(world):
    one, other = recognised(world, "one", answers(1)), recognised(world, "other", answers(2))
    mine = model(world.owner, world.auditor, "mine")
    keep_identity(mine, answers(1, 1e-3))
    compared = compare(mine)
    keep_identity(mine, answers(2, 1e-3))
    recognise(mine, compared)
    assert set(registrations_of(mine)) == {mine, other}
    assert set(registrations_of(one)) == {one}


@pytest.mark.django_db
def test_models_of_before_digests_were_kept_are_compared(world):
    before = model(world.owner, world.auditor, "before")
    kept = answers(1).to_json()
    del kept["named"]
    RegisteredModel.objects.filter(pk=before.pk).update(identity=kept, known_as=sha("before")[:32])
    after = recognised(world, "after", answers(1, 1e-3))
    assert set(registrations_of(before)) == {before, after}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(3))
def test_two_tests_at_the_same_time_find_each_other(world, turn):
    """Each may compare before the other has a name, then both want the lock: whoever comes second meets the first."""
    recognised(world, "stranger", answers(5))
    made = [model(world.owner, world.auditor, name) for name in ("one", "other")]
    gate, failed = threading.Barrier(2, timeout=60), []

    def test(mine: RegisteredModel, found: Identity) -> None:
        try:
            if turn == 1:
                gate.wait()
            keep_identity(mine, found)
            compared = compare(mine)
            gate.wait()
            with transaction.atomic():
                recognise(mine, compared)
                RegisteredModel.objects.select_for_update().get(pk=mine.pk)
        except Exception as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=test, args=(one, answers(1, n * 1e-3))) for n, one in enumerate(made)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(registrations_of(made[0])) == set(made)
