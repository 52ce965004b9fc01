"""Nobody makes a key, or a choice of what stayed home, to fit a model that is there: through the services."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from scipy import stats

from audits.models import Plan
from audits.services.plans.copies import copies_of
from audits.services.plans.drafting import save_draft
from audits.services.plans.locking import lock
from audits.services.plans.values import PlanError, PlanValues
from audits.services.runs import queueing
from audits.statistics.choices import Blocks, choice_test
from provenance import keying
from provenance.marks import ImageBlocks, MarkSets, WithheldSettings
from provenance.marks.keyed_choice import choose
from provenance.models import Release, WatermarkKey
from provenance.services import keys
from provenance.services.keyed_choices import keyed_choice
from provenance.services.keys import KeyStateError
from tests.audits.builders_plans import connected
from tests.audits.builders_reports import model
from tests.provenance.builders_releases import marked_version
from tests.provenance.builders_withheld import blocked, made, withheld

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@pytest.fixture
def version(world):
    """120 pictures in four classes."""
    return marked_version(world, per_group=30)


@pytest.fixture
def marks(world, version) -> MarkSets:
    """One of every block of four stays home."""
    return MarkSets((withheld(blocked(world, version)),))


def planned(world, release: Release, suspect, **more) -> Plan:
    values = PlanValues("One", release.version, [release], suspect, **more)
    return save_draft(values, by=world.auditor)


def seen(world, name: str = "public model"):
    return connected(model(world.owner, world.auditor, name))


# -- an accused, or an owner, who invents a key after the fact --------------------------------------------------------
def test_an_invented_key_does_not_open_the_commitment(world, version, marks):
    release = made(world, version, marks)
    before = keyed_choice(release)
    key = release.key
    invented = keying.draw_key() + keying.draw_salt()
    key.sealed = keying.seal(keys.key_provider().current(), invented, keys._record_name(key))
    key.save()
    with pytest.raises(KeyStateError, match="not those that were committed to"):
        keyed_choice(Release.objects.get(pk=release.pk))
    assert len(before)


def test_no_commitment_is_younger_than_its_beacon_not_even_in_the_database(world, version, marks):
    """Whoever knows the beacon could search for a key that fits it."""
    release = made(world, version, marks)
    earlier = release.key.committed_at - timedelta(seconds=1)
    with pytest.raises(IntegrityError, match="beacon_after_commitment"), transaction.atomic():
        WatermarkKey.objects.filter(pk=release.key_id).update(beacon_at=earlier)


def test_a_beacon_is_drawn_once_and_only_after_the_commitment(world, version, marks):
    key = keys.draw(version, by=world.rights_holder)
    with pytest.raises(KeyStateError, match="only after the key's commitment"):
        keys.record_beacon(key)
    keys.commit(key, marks, by=world.rights_holder)
    first = keys.record_beacon(key).beacon
    assert keys.record_beacon(key).beacon == first
    with pytest.raises(KeyStateError, match="Only a key that was just drawn"):
        keys.commit(key, marks, by=world.rights_holder)


@pytest.mark.parametrize("change", ["share", "blocks"])
def test_another_share_or_other_blocks_are_not_what_was_committed_to(world, version, marks, change):
    """Else an owner could name, afterwards, the images that the model happens not to know."""
    release = made(world, version, marks)
    committed = marks.withheld
    assert committed is not None
    other = {
        "share": WithheldSettings(committed.blocking, committed.block_size, committed.share / 2),
        "blocks": withheld(blocked(world, version, block_size=3)),
    }[change]
    WatermarkKey.objects.filter(pk=release.key_id).update(settings=MarkSets((other,)).to_dict())
    with pytest.raises(KeyStateError, match="not those that were committed to"):
        keyed_choice(Release.objects.get(pk=release.pk))


def test_an_invented_choice_after_the_model_is_late_however_it_came_about(world, version, marks):
    suspect = seen(world)
    release = made(world, version, marks, recipient="Invented")
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        lock(planned(world, release, suspect), by=world.auditor)


# -- an owner who searches keys against a public model ----------------------------------------------------------------
def test_the_best_of_many_keys_is_no_better_than_any_once_its_beacon_is_drawn():
    """A model that everybody can ask gives scores; the owner takes the key that they like best and commits to it."""
    rng, blocks = np.random.default_rng(8), 40
    alike = ImageBlocks(np.arange(4 * blocks, dtype=np.int32), np.repeat(np.arange(blocks, dtype=np.int32), 4))
    settings, scores = WithheldSettings("0" * 64, 4, 0.25), rng.normal(size=4 * blocks)

    def p_of(key: bytes, beacon: bytes) -> float:
        choice = choose(key, beacon, settings, alike)
        return choice_test(scores[choice.positions], Blocks(choice.block_of, choice.home)).p

    guessed = rng.bytes(32)
    searched = [rng.bytes(32) for _ in range(400)]
    best = min(searched, key=lambda key: p_of(key, guessed))
    assert p_of(best, guessed) < 0.02  # what the search was for
    found = np.array([p_of(best, rng.bytes(32)) for _ in range(1000)])  # what the server draws afterwards
    for alpha in (0.05, 0.2):
        low, high = stats.binom.interval(0.998, len(found), alpha)
        assert low <= (found <= alpha).sum() <= high
    assert stats.kstest(found, "uniform").pvalue > 0.001


def test_every_key_that_was_committed_counts_whether_it_is_asked_about_or_not(world, version, marks):
    tried = [made(world, version, marks, recipient=f"Nobody {number}") for number in range(3)]
    suspect = seen(world)
    values = PlanValues("Best of three", version, [tried[1]], suspect)
    assert copies_of(values).untested == 2
    plan = lock(save_draft(values, by=world.auditor), by=world.auditor)
    assert plan.frozen["copies"]["untested"] == 2


# -- an owner who withholds images once the model has appeared --------------------------------------------------------
def test_withholding_after_the_model_gives_no_evidence_and_before_it_may(world, version, marks):
    before = made(world, version, marks, recipient="Early")
    suspect = seen(world)
    late = made(world, version, marks, recipient="Late")
    with pytest.raises(PlanError, match=r"Late was committed to after this suspect.*cannot give evidence"):
        lock(planned(world, late, suspect), by=world.auditor)
    exploratory = lock(planned(world, late, suspect, exploratory=True), by=world.auditor)
    assert exploratory.frozen["late_commitments"] == [late.key.commitment]
    assert lock(planned(world, before, suspect), by=world.auditor).frozen["late_commitments"] == []


def test_a_day_of_publication_that_is_declared_later_stops_a_plan_that_was_locked(world, version, marks):
    release = made(world, version, marks)
    suspect = seen(world)
    plan = lock(planned(world, release, suspect), by=world.auditor)
    type(suspect).objects.filter(pk=suspect.pk).update(published_on=release.key.committed_at.date() - timedelta(days=1))
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        queueing.queue(plan, by=world.auditor)


def test_a_version_without_these_images_that_is_registered_later_is_late_too(world, version, marks):
    """The manifest that a commitment binds is the version's; a new one has new keys, committed to when they are."""
    suspect = seen(world)
    other = marked_version(world, per_group=24, name="Without some of them")
    release = made(world, other, MarkSets((withheld(blocked(world, other), share=0.22),)))
    assert release.key.committed_at > suspect.created_at
    with pytest.raises(PlanError, match="after this suspect was first seen"):
        lock(planned(world, release, suspect), by=world.auditor)
