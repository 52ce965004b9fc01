"""Releases whose groups are clusters: by the form, by command, beside another mark set; altered files stop them."""

import json

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from provenance.marks import MarkSets, MarkSettings, SettingsError
from provenance.marks.cluster_files import clusters_path, read_clusters
from provenance.marks.clusters import NONE
from provenance.models import Clusters, LogEntry, Release, Version
from provenance.services import clusters, jobs
from provenance.services.release_plans import plan_sets
from provenance.services.releases import make_releases
from tests.provenance.builders_releases import marked_version
from tests.world import World

pytestmark = pytest.mark.django_db


def kept(world: World, version: Version, groups: int = 6, left_out: int = 2) -> Clusters:
    labels = np.random.default_rng(3).permutation(np.arange(version.file_count) % groups).astype(np.uint16)
    labels[:left_out] = NONE
    facts = {"moved": 0, "inertia": 0.5, "feature_size": 8}
    return clusters.keep(version, clusters.Found(labels, "Any encoder", "e" * 64, 7, facts), by=world.rights_holder)


def settings_of(found: Clusters, **more) -> MarkSettings:
    more = {"share": 0.3, "opacity": 0.8} | more
    return MarkSettings(groups=found.names, group_by="cluster", clusters=found.digest, **more)


def embedded(world: World, version: Version, *marks: MarkSettings) -> Release:
    (release,) = make_releases(version, ["Northgate"], MarkSets(marks), by=world.rights_holder)
    jobs.run(str(release.job_id))
    release.refresh_from_db()
    return release


def test_clusters_are_kept_once_and_logged(world):
    version = marked_version(world)
    first, second = kept(world, version), kept(world, version)
    assert first == second
    assert str(first) == "6 clusters by Any encoder, seed 7"
    entry = LogEntry.objects.get(verb="clusters.kept")
    assert (entry.subject_type, entry.digests["clusters"]) == ("version", first.digest)


def test_marked_images_come_from_their_clusters(world):
    version = marked_version(world)
    found = kept(world, version)
    (plan,) = plan_sets(version, MarkSets((settings_of(found),)))
    assert [group.images for group in plan.groups] == found.sizes
    assert plan.outside == 2
    release = embedded(world, version, settings_of(found))
    assert release.state == "ready", release.job.reason
    labels = read_clusters(version.folder, found.digest)
    rows = [json.loads(line) for line in (release.folder / "marked.jsonl").read_text().splitlines()]
    assert len(rows) == plan.marked == release.marked_count
    assert all(labels[row["position"]] == row["group"] for row in rows)


def test_a_second_set_may_be_of_another_kind(world):
    version = marked_version(world, per_group=24)
    found = kept(world, version)
    plain = MarkSettings(association="plain", share=0.1)
    release = embedded(world, version, settings_of(found, share=0.2), plain)
    assert release.state == "ready", release.job.reason


def test_an_altered_file_stops_the_embedding(world):
    version = marked_version(world)
    found = kept(world, version)
    path = clusters_path(version.folder, found.digest)
    path.write_bytes(path.read_bytes()[:-2] + b"\0\0")
    release = embedded(world, version, settings_of(found))
    assert release.state == "failed"
    assert Release.objects.get().job.reason.endswith("Put it back from a backup.")


def test_clusters_that_the_version_does_not_have_are_refused(world):
    version, other = marked_version(world), marked_version(world, name="Other")
    with pytest.raises(clusters.UnknownClustersError, match="No clusters of Other"):
        make_releases(other, ["N"], MarkSets((settings_of(kept(world, version)),)), by=world.rights_holder)
    with pytest.raises(SettingsError, match="digest"):
        MarkSettings(groups=("a", "b", "c", "d"), group_by="cluster")


class TestForm:
    def values(self, version, found, **more):
        values = {"version": version.pk, "recipients": "Northgate", "set_count": 1}
        own = {"association": "associated", "family": "patch", "preset": "balanced", "group_by": "cluster"} | more
        if found:
            own["clusters"] = found.pk
        return values | {f"set-1-{name}": value for name, value in own.items()}

    def test_a_release_by_clusters(self, world, sign_in):
        version = marked_version(world, per_group=24)
        found = kept(world, version)
        browser = sign_in(world.rights_holder)
        page = browser.get(reverse("release_new"), {"version": version.pk, "set-1-clusters": found.pk}).content.decode()
        assert f'<option value="{found.pk}" selected>Meadows, version 1: 6 clusters by Any encoder' in page
        plan = browser.get(reverse("release_plan"), self.values(version, found)).content.decode()
        assert "cluster 6" in plan
        browser.post(reverse("release_new"), self.values(version, found))
        (mark,) = Release.objects.get().key.mark_sets
        assert (mark.group_by, mark.clusters, mark.groups) == ("cluster", found.digest, found.names)
        page = browser.get(reverse("release_detail", args=[Release.objects.get().pk])).content.decode()
        assert found.digest in page  # in the marks' facts

    def test_some_of_the_clusters(self, world, sign_in):
        version = marked_version(world, per_group=24)
        chosen = "cluster 1\ncluster 3\ncluster 4\ncluster 6"
        found = kept(world, version)
        sign_in(world.rights_holder).post(reverse("release_new"), self.values(version, found, groups=chosen))
        (mark,) = Release.objects.get().key.mark_sets
        assert mark.groups == tuple(chosen.splitlines())

    def test_what_is_missing_is_said(self, world, sign_in):
        version, other = marked_version(world), marked_version(world, name="Other")
        browser = sign_in(world.rights_holder)
        refused = browser.post(reverse("release_new"), self.values(version, None)).content.decode()
        assert "group the images by an encoder first" in refused
        refused = browser.post(reverse("release_new"), self.values(other, kept(world, version))).content.decode()
        assert "those of another version" in refused
        assert not Release.objects.exists()

    def test_nobody_is_offered_the_clusters_of_others(self, world, sign_in):
        found = kept(world, marked_version(world))
        assert str(found.pk) not in sign_in(world.outsider).get(reverse("release_new")).content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_command_takes_a_digest(world, capsys):
    version = marked_version(world)
    found = kept(world, version)
    common = ["--as", "rosa", "--recipient", "Northgate", "--group-by", "cluster", "--json"]
    call_command("make_release", str(version.pk), "--clusters", found.digest[:12], "--here", *common)
    (made,) = json.loads(capsys.readouterr().out)["releases"]
    assert made["state"] == "ready"
    assert Release.objects.get().key.mark_sets.sets[0].clusters == found.digest
    for given, word in (([], "by the digest"), (["--clusters", "ffff"], "No clusters of")):
        with pytest.raises(SystemExit):
            call_command("make_release", str(version.pk), *given, *common)
        assert word in json.loads(capsys.readouterr().out)["error"]
