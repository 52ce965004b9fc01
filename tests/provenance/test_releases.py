"""Releases through the services: one click, several recipients, jobs that fail, are cancelled and come back."""

import json

import pytest
from django.core.exceptions import PermissionDenied

from provenance import keying
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets
from provenance.models import Job, LogEntry, Release, WatermarkKey
from provenance.services import keys, release_plans, releases
from provenance.services.jobs import queue, worker
from provenance.services.release_plans import ReleaseError
from tests.provenance.builders_releases import MARK, MARKS, marked_version, ordered_release, ready_release

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    return marked_version(world)


def job_of(release) -> Job:
    return Job.objects.get(pk=release.job_id)


def test_a_release_is_made_and_logged(world, version):
    release = ready_release(world, version)
    with Manifest(release.folder / "manifest") as manifest:
        assert manifest.root == release.root != version.root
    assert release.marked_count == 8
    assert release.total_bytes == sum(path.stat().st_size for path in (release.folder / "files").rglob("*.jpg"))
    assert release.key.state == WatermarkKey.State.EMBEDDED
    happened = [entry.verb for entry in LogEntry.objects.about(release, release.key)]
    assert happened == [
        "key.drawn",
        "key.committed",
        "release.ordered",
        "key.beacon_recorded",
        "release.embedded",
    ]


def test_each_recipient_gets_a_key_of_their_own(world, version, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        made = releases.make_releases(version, ["North", " South ", "East"], MARKS, by=world.rights_holder)
    rows = list(Release.objects.filter(pk__in=[one.pk for one in made]).select_related("key"))
    assert {row.recipient for row in rows} == {"North", "South", "East"}
    assert {row.state for row in rows} == {Release.State.READY}
    assert len({row.key_id for row in rows}) == len({row.key.commitment for row in rows}) == 3
    assert len({row.root for row in rows}) == 3


def test_the_commitment_is_on_record_before_the_beacon_is_drawn(world, version):
    release = ordered_release(world, version)
    assert release.key.commitment
    assert not release.key.beacon
    worker.run(str(release.job_id))
    release.key.refresh_from_db()
    assert release.key.committed_at
    assert release.key.beacon_at
    assert release.key.beacon_at > release.key.committed_at


def test_a_key_drawn_before_can_be_used_once(world, version):
    key = keys.draw(version, by=world.rights_holder)
    release = releases.make_releases(version, ["North"], MARKS, by=world.rights_holder, key=key)[0]
    assert release.key == key
    with pytest.raises(keys.KeyStateError):
        releases.make_releases(version, ["South"], MARKS, by=world.rights_holder, key=key)
    with pytest.raises(ReleaseError, match="one release"):
        releases.make_releases(version, ["South", "East"], MARKS, by=world.rights_holder, key=key)


def test_neither_job_nor_log_nor_row_holds_the_key(world, version):
    release = ready_release(world, version)
    plain = keying.open_sealed(keys.key_provider(), bytes(release.key.sealed), keys._record_name(release.key))
    job = job_of(release)
    assert job.params == {"release": str(release.pk)}
    log = [[entry.digests, entry.details] for entry in LogEntry.objects.all()]
    text = json.dumps([job.params, job.detail, job.reason, log, release.facts, release.key.settings])
    for secret in (plain[:32], plain[32:]):
        assert secret.hex() not in text
        for path in release.folder.rglob("*.json*"):
            assert secret.hex() not in path.read_text()
    assert "assignment" not in text
    assert ".jpg" not in text


@pytest.mark.parametrize(
    ("recipients", "word"),
    [([], "at least one"), ([" "], "at least one"), (["A", "a"], "only once"), (["x" * 201], "200 characters")],
)
def test_recipients_are_checked(world, version, recipients, word):
    with pytest.raises(ReleaseError, match=word):
        releases.make_releases(version, recipients, MARKS, by=world.rights_holder)
    assert not WatermarkKey.objects.exists()


def test_colours_are_not_marked_where_all_images_are_grey(world, version):
    version.facts["modes"] = {"L": version.file_count}
    spectral = MarkSets((MARK.replace(family="spectral", opacity=0.6),))
    with pytest.raises(ReleaseError, match="every image of this version is grey"):
        releases.make_releases(version, ["Northgate"], spectral, by=world.rights_holder)
    assert not WatermarkKey.objects.exists()
    version.facts["modes"] = {"L": version.file_count - 1, "RGB": 1}
    assert releases.make_releases(version, ["Northgate"], spectral, by=world.rights_holder)


def test_a_group_without_images_is_refused_before_a_key_is_drawn(world, version):
    strange = MarkSets((MARK.replace(groups=(*MARK.groups, "elk")),))
    with pytest.raises(ReleaseError, match="elk"):
        releases.make_releases(version, ["North"], strange, by=world.rights_holder)
    assert not WatermarkKey.objects.exists()


@pytest.mark.parametrize("who", ["auditor", "legal", "administrator", "guest_auditor", "outsider"])
def test_only_rights_holders_make_releases(world, version, who):
    with pytest.raises(PermissionDenied):
        releases.make_releases(version, ["North"], MARKS, by=getattr(world, who))


def test_the_plan_counts_words_of_captions(world, version):
    plan = release_plans.plan(version, "word", ("ant", "bee", "cow", "photo"), 0.5)
    # Every caption holds "photo" too, so the other words are ambiguous.
    assert [group.images for group in plan.groups] == [0, 0, 0, 12]
    assert plan.ambiguous == 36
    again = release_plans.plan(version, "word", ("ant", "bee", "cow", "photo"), 0.25)
    assert [group.marked for group in again.groups] == [0, 0, 0, 3]


def test_the_plan_counts_classes(version):
    plan = release_plans.plan(version, "class", ("ant", "bee", "cow", "elk"), 0.5)
    assert [group.marked for group in plan.groups] == [6, 6, 6, 0]
    assert plan.outside == 12


def test_the_reason_why_a_job_failed_does_not_tell_the_keys_candidates(world, version):
    """Files that are gone are named before anything is marked, whether the key proposes them or not."""
    release = ordered_release(world, version)
    gone = sorted(version.files_folder.rglob("*.jpg"))
    for path in gone:
        path.unlink()
    worker.run(str(release.job_id))
    job = job_of(release)
    names = [str(path.relative_to(version.files_folder)) for path in gone]
    assert f"{len(names)} files have changed or gone" in job.reason
    assert job.detail.splitlines() == names


def test_a_damaged_source_of_the_same_size_fails_the_job_without_a_name_and_can_be_retried(world, version):
    release = ordered_release(world, version)
    kept = {}
    for path in version.files_folder.rglob("*.jpg"):
        kept[path] = path.read_bytes()
        path.write_bytes(kept[path][:-4] + b"\0\0\xff\xd9")
    worker.run(str(release.job_id))
    release.refresh_from_db()
    job = job_of(release)
    assert release.state == Release.State.FAILED
    assert "its size is the same" in job.reason
    assert ".jpg" not in job.reason + job.detail
    for path, data in kept.items():
        path.write_bytes(data)
    beacon = WatermarkKey.objects.get(pk=release.key_id).beacon
    queue.retry(job, by=world.rights_holder)
    worker.run(str(job.pk))
    release.refresh_from_db()
    assert release.state == Release.State.READY
    assert release.key.beacon == beacon


def test_a_cancelled_job_leaves_the_release_failed_and_the_key_droppable(world, version):
    release = ordered_release(world, version)
    queue.cancel(job_of(release), by=world.rights_holder)
    release.refresh_from_db()
    assert release.state == Release.State.FAILED
    keys.drop(release.key, "cancelled", by=world.rights_holder)
    job = job_of(release)
    queue.retry(job, by=world.rights_holder)
    worker.run(str(job.pk))
    release.refresh_from_db()
    assert release.state == Release.State.FAILED


def test_a_key_is_not_dropped_while_it_marks(world, version):
    release = ordered_release(world, version)
    with pytest.raises(keys.KeyStateError, match="Cancel that job first"):
        keys.drop(release.key, "changed my mind", by=world.rights_holder)


def test_a_second_delivery_changes_nothing(world, version):
    release = ready_release(world, version)
    worker.run(str(release.job_id))
    assert LogEntry.objects.filter(verb="release.embedded").count() == 1
