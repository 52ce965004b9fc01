"""Keys: drawn, committed, bound to a beacon, derived from, in that order and in no other."""

import json
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from provenance import keying
from provenance.marks import MarkSets
from provenance.models import LogEntry, WatermarkKey
from provenance.services import keys
from provenance.services.keys import KeyStateError
from tests.provenance.builders_releases import MARK, marked_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    return marked_version(world, per_group=2)


@pytest.fixture
def drawn(world, version):
    return keys.draw(version, by=world.rights_holder)


def verbs(key):
    return [entry.verb for entry in LogEntry.objects.about(key)]


def test_the_three_steps_are_logged_in_their_order(world, drawn):
    keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
    keys.record_beacon(drawn)
    (secret,) = keys.open_secrets(drawn)
    assert verbs(drawn) == ["key.drawn", "key.committed", "key.beacon_recorded"]
    assert drawn.committed_at < drawn.beacon_at
    assert secret.settings == MARK


class TestTheOrderCannotBeTurnedRound:
    def test_no_beacon_before_the_commitment(self, drawn):
        with pytest.raises(KeyStateError, match="only after the key's commitment"):
            keys.record_beacon(drawn)
        drawn.refresh_from_db()
        assert not drawn.beacon

    def test_nothing_is_derived_before_the_commitment(self, drawn):
        with pytest.raises(KeyStateError, match="drawn"):
            keys.open_secrets(drawn)

    def test_nothing_is_derived_before_the_beacon(self, world, drawn):
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
        with pytest.raises(KeyStateError, match="before its commitment and its beacon"):
            keys.open_secrets(drawn)

    def test_no_second_commitment(self, world, drawn):
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
        before = drawn.commitment
        with pytest.raises(KeyStateError, match="Draw a new key"):
            keys.commit(drawn, MarkSets((MARK.replace(share=0.5),)), by=world.rights_holder)
        drawn.refresh_from_db()
        assert drawn.commitment == before

    def test_no_second_beacon(self, world, drawn):
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
        first = keys.record_beacon(drawn).beacon
        assert keys.record_beacon(drawn).beacon == first
        assert verbs(drawn).count("key.beacon_recorded") == 1

    def test_the_database_refuses_a_beacon_without_a_commitment(self, drawn):
        row = WatermarkKey.objects.filter(pk=drawn.pk)
        with pytest.raises(IntegrityError), transaction.atomic():
            row.update(beacon="ab" * 32, beacon_at=timezone.now())

    def test_the_database_refuses_a_beacon_older_than_the_commitment(self, world, drawn):
        early = timezone.now()
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
        with pytest.raises(IntegrityError), transaction.atomic():
            WatermarkKey.objects.filter(pk=drawn.pk).update(beacon="ab" * 32, beacon_at=early)


class TestTampering:
    @pytest.fixture
    def bound(self, world, drawn):
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
        return keys.record_beacon(drawn)

    def test_changed_settings_are_noticed(self, bound):
        WatermarkKey.objects.filter(pk=bound.pk).update(settings=MARK.replace(share=0.9).to_dict())
        bound.refresh_from_db()
        with pytest.raises(KeyStateError, match="committed to"):
            keys.open_secrets(bound)

    def test_a_changed_commitment_is_noticed(self, bound):
        bound.commitment = "0" * 64
        with pytest.raises(KeyStateError, match="committed to"):
            keys.open_secrets(bound)

    def test_a_sealed_key_does_not_open_in_another_row(self, world, version, bound):
        other = keys.draw(version, by=world.rights_holder)
        bound.sealed = other.sealed
        with pytest.raises(keying.SealedRecordError):
            keys.open_secrets(bound)


def test_a_dropped_key_stays_and_can_do_nothing_more(world, drawn):
    keys.drop(drawn, "a trial", by=world.rights_holder)
    assert drawn.state == WatermarkKey.State.DROPPED
    assert WatermarkKey.objects.filter(pk=drawn.pk, dropped_because="a trial").exists()
    assert verbs(drawn)[-1] == "key.dropped"
    with pytest.raises(KeyStateError):
        keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
    with pytest.raises(KeyStateError):
        keys.drop(drawn, "again", by=world.rights_holder)
    with pytest.raises(KeyStateError):
        keys.open_secrets(drawn)


def test_a_reason_is_needed_to_drop(world, drawn):
    with pytest.raises(KeyStateError, match="why"):
        keys.drop(drawn, "  ", by=world.rights_holder)


@pytest.mark.parametrize("who", ["auditor", "legal", "administrator", "guest_auditor", "outsider"])
def test_only_rights_holders_touch_keys(world, version, drawn, who):
    person = getattr(world, who)
    with pytest.raises(PermissionDenied):
        keys.draw(version, by=person)
    with pytest.raises(PermissionDenied):
        keys.commit(drawn, MarkSets((MARK,)), by=person)
    with pytest.raises(PermissionDenied):
        keys.drop(drawn, "no", by=person)


def rewrapped(capsys, *arguments: str) -> dict:
    call_command("rewrap_keys", "--json", *arguments)
    return json.loads(capsys.readouterr().out)


def test_a_new_key_encryption_key_takes_over_old_records(world, drawn, capsys):
    keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
    keys.record_beacon(drawn)
    (before,) = keys.open_secrets(drawn)
    answer = rewrapped(capsys, "--draw")
    drawn.refresh_from_db()
    assert answer == {"rewrapped": 1, "key_encryption_key": keying.sealed_with(bytes(drawn.sealed))}
    (after,) = keys.open_secrets(drawn)
    assert (before.assignment == after.assignment).all()
    assert rewrapped(capsys) == answer | {"rewrapped": 0}


def test_a_key_encryption_key_from_the_environment_is_not_drawn_here(drawn, settings, capsys):
    settings.KEY_PROVIDER = "environment"
    settings.KEY_ENCRYPTION_KEYS = f"main:{'A' * 43}="
    with pytest.raises(SystemExit):
        call_command("rewrap_keys", "--json", "--draw")
    assert "Put a new one first in TOUCHMARK_KEY_ENCRYPTION_KEYS" in capsys.readouterr().out


def test_deployments_may_keep_the_key_in_the_environment(world, version, settings):
    settings.KEY_PROVIDER = "environment"
    settings.KEY_ENCRYPTION_KEYS = f"main:{'A' * 43}="
    key = keys.draw(version, by=world.rights_holder)
    assert keying.sealed_with(bytes(key.sealed)) == "main"


def test_the_log_holds_no_secret(world, drawn):
    keys.commit(drawn, MarkSets((MARK,)), by=world.rights_holder)
    keys.record_beacon(drawn)
    plain = keying.open_sealed(keys.key_provider(), bytes(drawn.sealed), keys._record_name(drawn))
    text = " ".join(f"{e.digests} {e.details} {e.subject_label}" for e in LogEntry.objects.all())
    assert plain[:32].hex() not in text
    assert plain[32:].hex() not in text
    assert re.search(drawn.commitment, text)
