"""Grouping images by an encoder: from images without labels to an audit; killed and resumed; refused; on pages."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from audits.models import Audit, Clustering, RegisteredModel
from audits.services.clusterings import starting
from audits.services.clusterings.starting import ClusteringRefusedError
from audits.services.models.errors import RegistrationError
from audits.services.models.registering import Registration, register_local
from audits.services.plans.checks import PlanError
from audits.services.runs import queueing
from audits.suspects import ModelSpec
from provenance.marks import MarkSets, MarkSettings
from provenance.marks.cluster_files import clusters_path, read_clusters, read_signs
from provenance.marks.clusters import NONE
from provenance.models import Clusters, LogEntry, Release
from provenance.services import clusters as kept_clusters
from provenance.services import releases
from provenance.services.jobs import queue
from provenance.services.jobs.running import JobRun
from tests.audits.builders_clusterings import colours_version, small_encoder, timm_encoder
from tests.audits.builders_runs import confined_child_killed_when, locked_plan, register, untrained

pytestmark = pytest.mark.django_db(transaction=True)


def ended(clustering: Clustering) -> Clustering:
    return Clustering.objects.select_related("job", "clusters__version", "version__dataset").get(pk=clustering.pk)


def marked_by(kept: Clusters, **more) -> MarkSets:
    fields = {"share": 0.5, "side": 0.25, "opacity": 1.0} | more
    return MarkSets((MarkSettings(groups=kept.names, group_by="cluster", clusters=kept.digest, **fields),))


@pytest.mark.suspect
def test_images_without_labels_are_grouped_marked_and_audited(world, tmp_path):
    version, encoder = colours_version(world), timm_encoder(world, tmp_path)
    assert encoder.connection["feature_size"] == 96
    done = ended(starting.start(version, encoder, 6, by=world.rights_holder, seed=4))
    assert (done.state, done.job.reason) == ("done", "")
    kept = done.clusters
    assert kept.sizes == [40] * 6
    assert kept.left_out == 0
    labels = read_clusters(version.folder, kept.digest)
    for cluster in range(6):
        assert len(set(np.flatnonzero(labels == cluster) % 6)) == 1  # one colour each, which nobody named
    written = json.loads(clusters_path(version.folder, kept.digest).with_suffix(".json").read_bytes())
    assert written["encoder_digest"] == encoder.sha256
    assert written["manifest"] == version.root
    assert (written["sizes"], written["seed"]) == ([40] * 6, 4)
    assert not done.folder.exists()  # the features have served
    signs = read_signs(version.folder, kept.facts["signs"])
    own, other = (np.bitwise_count(signs[step:] ^ signs[:-step]).sum(axis=1).mean() for step in (6, 1))
    assert own < other / 2  # colours take turns
    entry = LogEntry.objects.get(verb="clusters.kept")
    assert entry.digests == {"clusters": kept.digest, "encoder": encoder.sha256, "root": version.root}

    made = releases.make_releases(version, ["North"], marked_by(kept), by=world.rights_holder)
    release = Release.objects.select_related("version", "key").get(pk=made[0].pk)
    assert (release.state, release.marked_count) == ("ready", 120)
    plan = locked_plan(world, [release], register(world, "suspect", untrained(seed=3)))
    audit = Audit.objects.select_related("job").get(pk=queueing.queue(plan, by=world.auditor).pk)
    assert (audit.state, audit.job.reason) == ("done", "")
    row = audit.rows.get()
    assert 0 < row.p <= 1
    assert row.smallest_p == pytest.approx(1 / 720)
    assert row.result["groups"] == [f"cluster {number}" for number in range(1, 7)]

    path = clusters_path(version.folder, kept.digest)
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0")  # the last image goes to another group
    plan = locked_plan(world, [release], register(world, "another suspect", untrained(seed=4)))
    audit = Audit.objects.select_related("job").get(pk=queueing.queue(plan, by=world.auditor).pk)
    assert audit.state == "failed"
    assert "was altered" in audit.job.reason


@pytest.mark.suspect
def test_unreadable_images_belong_to_no_cluster(world):
    version, encoder = colours_version(world, per_colour=8, broken=3), small_encoder(world)
    (version.files_folder / "0010.png").unlink()
    done = ended(starting.start(version, encoder, 4, by=world.rights_holder))
    assert (done.state, done.job.reason) == ("done", "")
    assert done.clusters.left_out == 4
    assert done.clusters.sizes == [11] * 4
    labels = read_clusters(version.folder, done.clusters.digest)
    assert list(np.flatnonzero(labels == NONE)) == [0, 1, 2, 10]


def blocks_are_encoded(folder: Path, count: int) -> bool:
    """By the notes of an array of one byte each."""
    notes = [path.read_bytes()[128:] for path in folder.glob("*/done.npy") if path.stat().st_size]
    return any(np.frombuffer(note, np.uint8).sum() >= count for note in notes)


@pytest.mark.suspect
def test_a_killed_run_resumes_where_it_was_and_finds_the_same(world, settings, monkeypatch):
    monkeypatch.setattr("audits.asking.encoding.MOST_IMAGES", 16)
    version, encoder = colours_version(world), small_encoder(world)
    with confined_child_killed_when(partial(blocks_are_encoded, settings.FILES_DIR / "clusterings", 3)):
        failed = ended(starting.start(version, encoder, 5, by=world.rights_holder))
    assert failed.state == "failed"
    assert "ended from outside" in failed.job.reason
    assert LogEntry.objects.filter(verb="clustering.failed", subject_id=str(failed.pk)).exists()
    assert not Clusters.objects.exists()
    before = np.load(failed.folder / "done.npy")
    assert 3 <= before.sum() < len(before) == 15

    asked = []
    load = JobRun.progress

    def noted(run, done, total, phase=""):
        if phase == "encoding images":
            asked.append(done)
        load(run, done, total, phase)

    monkeypatch.setattr(JobRun, "progress", noted)
    queue.retry(failed.job, by=world.rights_holder)
    done = ended(failed)
    assert (done.state, done.job.reason, done.job.attempt) == ("done", "", 2)
    assert len(asked) == 15 - before.sum()  # and not asked again about what was there
    whole = ended(starting.start(version, encoder, 5, by=world.rights_holder))
    assert whole.clusters == done.clusters  # the same file: kept once


class TestRefused:
    @pytest.mark.parametrize("who", ["auditor", "legal", "administrator", "guest_auditor", "outsider"])
    def test_only_the_owners_rights_holders_may(self, world, who):
        version, encoder = colours_version(world, 4), register(world, "encoder", untrained(1), "encoder")
        with pytest.raises(PermissionDenied):
            starting.start(version, encoder, 4, by=getattr(world, who))

    def test_what_cannot_be_done_is_refused_with_a_sentence(self, world):
        version, encoder = colours_version(world, 4), register(world, "encoder", untrained(1), "encoder")
        suspect = register(world, "suspect", untrained(2))
        other = RegisteredModel(organisation=world.elsewhere, role="encoder", connection=encoder.connection)
        untested = RegisteredModel(organisation=world.owner, role="encoder")
        for model, groups, word in (
            (suspect, 5, "Choose an encoder"),
            (other, 5, "Choose an encoder"),
            (untested, 5, "connection test"),
            (encoder, 3, "4 to 64"),
            (encoder, 65, "4 to 64"),
            (encoder, 13, "too few"),
        ):
            with pytest.raises(ClusteringRefusedError, match=word):
                starting.start(version, model, groups, by=world.rights_holder)
        assert not Clustering.objects.exists()


class TestEncoders:
    spec = ModelSpec("timm:test_resnet", input_size=32)

    def test_they_are_the_rights_holders_alone(self, world, tmp_path):
        for by, role in ((world.auditor, "encoder"), (world.rights_holder, "suspect"), (world.outsider, "encoder")):
            path = tmp_path / "any"
            path.write_bytes(untrained(1))
            with pytest.raises(PermissionDenied):
                register_local(world.owner, Registration("Mine", role, self.spec), path, by=by)

    def test_they_give_features(self, world, tmp_path):
        path = tmp_path / "any"
        path.write_bytes(untrained(1))
        spec = ModelSpec("timm:test_resnet", returns=("soft", "hard"), input_size=32)
        with pytest.raises(RegistrationError, match="features"):
            register_local(world.owner, Registration("Mine", "encoder", spec), path, by=world.rights_holder)

    def test_no_audit_ever_asks_about_them(self, world):
        encoder = register(world, "encoder", untrained(1), "encoder")
        assert encoder not in RegisteredModel.objects.suspects()
        assert encoder not in RegisteredModel.objects.references()
        version = colours_version(world, 10)
        labels = (np.arange(60) % 4).astype(np.uint16)
        found = kept_clusters.Found(labels, "any", "0" * 64, 1, {})
        kept = kept_clusters.keep(version, found, by=world.rights_holder)
        (release,) = releases.make_releases(version, ["North"], marked_by(kept), by=world.rights_holder)
        with pytest.raises(PlanError):
            locked_plan(world, [Release.objects.get(pk=release.pk)], encoder)

    @pytest.mark.suspect
    def test_the_same_weights_may_be_encoder_and_reference(self, world, tmp_path):
        encoder, path = small_encoder(world), tmp_path / "weights"
        path.write_bytes(untrained(seed=8))
        reference = Registration("Reference", "reference", encoder.model_spec, "ours", declared=True)
        assert register_local(world.owner, reference, path, by=world.auditor).sha256 == encoder.sha256


@pytest.mark.suspect
def test_headless(world, capsys):
    version = colours_version(world, per_colour=20)
    small_encoder(world, "Tiny")
    common = ["--as", "rosa", "--json"]
    call_command("cluster_images", str(version.pk), "--encoder", "Tiny", "--clusters", "5", "--here", *common)
    answer = json.loads(capsys.readouterr().out)
    assert answer["state"] == "done"
    assert answer["sizes"] == [24] * 5
    call_command("cluster_images", str(version.pk), "--encoder", "Tiny", "--clusters", "5", "--here", *common)
    assert json.loads(capsys.readouterr().out)["clusters"] == answer["clusters"]  # the same seed, the same file
    for wrong, word in ((["--encoder", "Other"], "no encoder"), (["--encoder", "Tiny", "--clusters", "99"], "4 to 64")):
        with pytest.raises(SystemExit) as refused:
            call_command("cluster_images", str(version.pk), *wrong, *common)
        assert refused.value.code == 1
        assert word in json.loads(capsys.readouterr().out)["error"]


class TestPages:
    @pytest.mark.suspect
    def test_from_the_form_to_pictures_of_every_cluster(self, world, sign_in):
        browser = sign_in(world.rights_holder)
        new, listed = reverse("clustering_new"), reverse("clustering_list")
        assert "No version to group" in browser.get(new).content.decode()
        version = colours_version(world, per_colour=8)
        assert "Register an encoder" in browser.get(new).content.decode()
        assert "No images grouped yet" in browser.get(listed).content.decode()
        encoder = small_encoder(world)
        values = {"version": version.pk, "encoder": encoder.pk, "groups": 6, "seed": 1}
        told = browser.get(reverse("clustering_forecast"), values).content.decode()
        assert "48" in told
        assert "In each cluster" in told
        refused = browser.post(new, values | {"groups": 40}).content.decode()
        assert "too few for 40 clusters" in refused
        answer = browser.post(new, values, follow=True)
        page = answer.content.decode()
        assert "cluster 6" in page
        assert page.count("<img") == 48
        assert "Clusters kept" in page
        assert "Clustering started" in page
        (clustering,) = Clustering.objects.all()
        assert clustering.clusters.sizes == [8] * 6
        for index in range(48):
            assert (version.folder / "thumbnails" / f"{index}-240.webp").exists()
        assert str(version) in browser.get(listed).content.decode()

        page = sign_in(world.auditor).get(reverse("clustering_detail", args=[clustering.pk])).content.decode()
        assert clustering.clusters.digest in page
        assert "<img" not in page  # the pictures are the owner's

    def test_a_file_that_is_gone_is_told(self, world, sign_in):
        version = colours_version(world, per_colour=4)
        labels = (np.arange(24) % 4).astype(np.uint16)
        found = kept_clusters.Found(labels, "any", "0" * 64, 1, {"moved": 0, "inertia": 0.1, "feature_size": 2})
        kept = kept_clusters.keep(version, found, by=world.rights_holder)
        clustering = Clustering.objects.create(
            version=version, encoder=register(world, "encoder", b"w", "encoder"), groups=4, seed=1, clusters=kept,
            state="done", created_by=world.rights_holder,
        )  # fmt: skip
        clusters_path(version.folder, kept.digest).unlink()
        page = sign_in(world.rights_holder).get(reverse("clustering_detail", args=[clustering.pk])).content.decode()
        assert "is gone" in page

    def test_a_rights_holder_registers_an_encoder_and_nothing_else(self, world, sign_in):
        page = sign_in(world.rights_holder).get(reverse("model_new")).content.decode()
        assert 'value="encoder"' in page
        assert 'value="suspect"' not in page
        assert "I declare" not in page
        page = sign_in(world.auditor).get(reverse("model_new")).content.decode()
        assert 'value="encoder"' not in page
        assert 'value="suspect"' in page
        assert "I declare" in page
