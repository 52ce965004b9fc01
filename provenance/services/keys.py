"""Watermark keys: drawn, committed, bound to a beacon, and only then derived from. That order cannot be turned round.

The bytes of a key exist in the sealed record and inside a running job, nowhere else: no function here returns them.
"""

import hashlib
import secrets

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from provenance import keying
from provenance.errors import TouchmarkError
from provenance.marks import ImageBlocks, KeyedChoice, MarkSecret, MarkSets, VersionSecret
from provenance.models import Role, User, Version, WatermarkKey
from provenance.services.access import require
from provenance.services.log import record

BEACON_BYTES = 32


class KeyStateError(TouchmarkError):
    """The key is not in the state that this act needs; the sentence says what comes first."""


def key_provider() -> keying.KeyProvider:
    """Where key-encryption keys come from, as the settings say."""
    if settings.KEY_PROVIDER == "environment":
        return keying.EnvironmentKeyProvider(settings.KEY_ENCRYPTION_KEYS)
    return keying.FileKeyProvider(settings.KEY_FILE)


@transaction.atomic
def draw(version: Version, *, by: User) -> WatermarkKey:
    """Draw a key for one release of a version and seal it. From here on it is counted, whatever becomes of it."""
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    if version.state != Version.State.READY:
        raise KeyStateError("A key can be drawn once the version's files have been read.")
    key = WatermarkKey(version=version, drawn_by=by)
    plain = keying.draw_key() + keying.draw_salt()
    key.sealed = keying.seal(key_provider().current(), plain, _record_name(key))
    key.save()
    record("key.drawn", key, organisation=version.dataset.organisation, by=by, details={"version": str(version)})
    return key


@transaction.atomic
def commit(key: WatermarkKey, mark: MarkSets, *, by: User) -> WatermarkKey:
    """Bind the key to mark settings and the version's root by a salted hash. Settings cannot change afterwards."""
    version = key.version
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    secret, salt = _open(key)
    commitment = keying.commit(secret, salt, mark.to_dict(), version.root)
    changed = WatermarkKey.objects.filter(pk=key.pk, state=WatermarkKey.State.DRAWN, beacon="").update(
        state=WatermarkKey.State.COMMITTED,
        settings=mark.to_dict(),
        commitment=commitment,
        committed_at=timezone.now(),
    )
    if not changed:
        raise KeyStateError("Only a key that was just drawn can be committed; this one is past that. Draw a new key.")
    key.refresh_from_db()
    digests = {
        "commitment": commitment,
        "manifest_root": version.root,
        "mark_settings": hashlib.sha256(mark.to_json().encode()).hexdigest(),
    }
    record("key.committed", key, organisation=version.dataset.organisation, by=by, digests=digests)
    return key


@transaction.atomic
def record_beacon(key: WatermarkKey) -> WatermarkKey:
    """Draw the server's nonce, once, after the commitment is on record. A second call changes nothing."""
    changed = WatermarkKey.objects.filter(pk=key.pk, state=WatermarkKey.State.COMMITTED, beacon="").update(
        beacon=secrets.token_hex(BEACON_BYTES), beacon_at=timezone.now()
    )
    key.refresh_from_db()
    if not changed:
        if not key.beacon:
            raise KeyStateError("The beacon may be drawn only after the key's commitment is on record.")
        return key
    record(
        "key.beacon_recorded",
        key,
        organisation=key.version.dataset.organisation,
        by=None,
        digests={"commitment": key.commitment, "beacon": key.beacon},
        details={"source": "server nonce"},
    )
    return key


@transaction.atomic
def drop(key: WatermarkKey, because: str, *, by: User) -> WatermarkKey:
    """Give up a key that marks nothing yet. It stays in the list and in the count."""
    organisation = key.version.dataset.organisation
    require(by, organisation, Role.RIGHTS_HOLDER)
    because = because.strip()[:300]
    if not because:
        raise KeyStateError("Say why the key is dropped; the reason stays with it.")
    if WatermarkKey.objects.filter(pk=key.pk, release__state="embedding").exists():
        raise KeyStateError("A release is being marked with this key. Cancel that job first.")
    dropped = WatermarkKey.objects.filter(
        pk=key.pk, state__in=[WatermarkKey.State.DRAWN, WatermarkKey.State.COMMITTED]
    ).update(state=WatermarkKey.State.DROPPED, dropped_at=timezone.now(), dropped_because=because)
    if not dropped:
        raise KeyStateError("Only a key that has marked nothing yet can be dropped.")
    key.refresh_from_db()
    digests = {"commitment": key.commitment} if key.commitment else {}
    record("key.dropped", key, organisation=organisation, by=by, digests=digests, details={"reason": because})
    return key


def open_secrets(key: WatermarkKey) -> tuple[MarkSecret, ...]:
    """Derive the struck sets of a key, inside a job only: patterns, assignments, candidates. Raises as `_proven`."""
    secret = _proven(key)
    return key.mark_sets.derive(secret, bytes.fromhex(key.beacon))


def open_choice(key: WatermarkKey, blocks: ImageBlocks) -> KeyedChoice | None:
    """Derive what stays home of a key's withheld set, inside a job only; None where it has none. Raises as `_proven`.

    blocks: those that the withheld set names.
    """
    secret = _proven(key)
    return key.mark_sets.choose(secret, bytes.fromhex(key.beacon), blocks)


def open_versions(key: WatermarkKey) -> VersionSecret | None:
    """Derive which version of every picture stays home, inside a job only; None where there are none.

    Raises as `_proven`.
    """
    return key.mark_sets.choose_versions(_proven(key), bytes.fromhex(key.beacon))


def _proven(key: WatermarkKey) -> bytes:
    """The bytes of a key from which something may be derived.

    Raises KeyStateError before commitment and beacon are on record, and where the opened key, the settings or the
    version's root are not those that the commitment binds.
    """
    if key.state not in (WatermarkKey.State.COMMITTED, WatermarkKey.State.EMBEDDED, WatermarkKey.State.DISCLOSED):
        raise KeyStateError(f"Nothing may be derived from a key that is {key.get_state_display()}.")
    if not key.commitment or not key.beacon or not key.committed_at or not key.beacon_at:
        raise KeyStateError("Nothing may be derived from a key before its commitment and its beacon are on record.")
    if key.beacon_at < key.committed_at:
        raise KeyStateError("The beacon is older than the commitment, so the key could have been chosen to fit it.")
    secret, salt = _open(key)
    if not keying.verify_commitment(key.commitment, secret, salt, key.settings, key.version.root):
        raise KeyStateError("The key, its settings or the version's root are not those that were committed to.")
    return secret


def rewrap_all() -> int:
    """After a new key-encryption key came in: wrap every record with it. Returns how many changed."""
    provider = key_provider()
    current, changed = provider.current().id, 0
    for key in WatermarkKey.objects.select_related("version__dataset").iterator():
        before = bytes(key.sealed)
        if keying.sealed_with(before) == current:
            continue
        sealed = keying.rewrap(provider, before, _record_name(key))
        changed += WatermarkKey.objects.filter(pk=key.pk, sealed=before).update(sealed=sealed)
    return changed


def _open(key: WatermarkKey) -> tuple[bytes, bytes]:
    plain = keying.open_sealed(key_provider(), bytes(key.sealed), _record_name(key))
    return plain[: keying.KEY_BYTES], plain[keying.KEY_BYTES :]


def _record_name(key: WatermarkKey) -> bytes:
    """The associated data: a sealed key opens only in the record it was sealed for."""
    return f"{key.version.dataset.organisation_id}/{key.version.dataset_id}/{key.pk}".encode()
