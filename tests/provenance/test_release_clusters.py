"""Releases whose groups are clusters: by the form, by command, beside another mark set; altered files stop them."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse

from provenance.marks import MarkSets, MarkSettings, SettingsError
from provenance.marks.cluster_files import clusters_path, read_clusters
from provenance.models import Clusters, LogEntry, Release, Version
from provenance.services import clusters
from provenance.services.jobs import worker
from provenance.services.release_plans import plan_sets
from provenance.services.releases import make_releases
from tests.provenance.builders_releases import kept_clusters, marked_version
from tests.world import World

pytestmark = pytest.mark.django_db


def settings_of(found: Clusters, **more) -> MarkSettings:
    more = {"share": 0.3, "opacity": 0.8} | more
    return MarkSettings(groups=found.names, group_by="cluster", clusters=found.digest, **more)


def embedded(world: World, version: Version, *marks: MarkSettings) -> Release:
    (release,) = make_releases(version, ["Northgate"], MarkSets(marks), by=world.rights_holder)
    worker.run(str(release.job_id))
    release.refresh_from_db()
    return release


def test_clusters_are_kept_once_and_logged(world):
    version = marked_version(world)
    first, second = kept_clusters(world, version), kept_clusters(world, version)
    assert first == second
    assert str(first) == "6 clusters by Any encoder, seed 7"
    entry = LogEntry.objects.get(verb="clusters.kept")
    assert (entry.subject_type, entry.digests["clusters"]) == ("version", first.digest)


def test_marked_images_come_from_their_clusters(world):
    version = marked_version(world)
    found = kept_clusters(world, version)
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
    found = kept_clusters(world, version)
    plain = MarkSettings(association="plain", share=0.1)
    release = embedded(world, version, settings_of(found, share=0.2), plain)
    assert release.state == "ready", release.job.reason


def test_an_altered_file_stops_the_embedding(world):
    version = marked_version(world)
    found = kept_clusters(world, version)
    path = clusters_path(version.folder, found.digest)
    path.write_bytes(path.read_bytes()[:-2] + b"\0\0")
    release = embedded(world, version, settings_of(found))
    assert release.state == "failed"
    assert Release.objects.get().job.reason.endswith("Put it back from a backup.")


def test_clusters_that_the_version_does_not_have_are_refused(world):
    version, other = marked_version(world), marked_version(world, name="Other")
    with pytest.raises(clusters.UnknownClustersError, match="No clusters of Other"):
        make_releases(other, ["N"], MarkSets((settings_of(kept_clusters(world, version)),)), by=world.rights_holder)
    with pytest.raises(SettingsError, match="digest"):
        MarkSettings(groups=("a", "b", "c", "d"), group_by="cluster")


class TestForm:
    def values(self, version, found, number=1, **more):
        values = {"version": version.pk, "recipients": "Northgate", "set_count": number}
        own = {"association": "associated", "family": "patch", "preset": "balanced", "group_by": "cluster"} | more
        if found:
            own["clusters"] = found.pk
        return values | {f"set-{number}-{name}": value for name, value in own.items()}

    def test_a_release_by_clusters(self, world, sign_in):
        version = marked_version(world, per_group=24)
        found = kept_clusters(world, version)
        browser = sign_in(world.rights_holder)
        asked = {"version": version.pk, "set-1-group_by": "cluster", "set-1-clusters": found.pk}
        page = browser.get(reverse("release_new"), asked).content.decode()
        assert f'<option value="{found.pk}" selected>6 clusters by Any encoder' in page
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
        found = kept_clusters(world, version)
        sign_in(world.rights_holder).post(reverse("release_new"), self.values(version, found, groups=chosen))
        (mark,) = Release.objects.get().key.mark_sets
        assert mark.groups == tuple(chosen.splitlines())

    def test_what_is_missing_is_said(self, world, sign_in):
        version, other = marked_version(world), marked_version(world, name="Other")
        browser = sign_in(world.rights_holder)
        refused = browser.post(reverse("release_new"), self.values(version, None)).content.decode()
        assert "Group its images by an encoder first" in refused
        kept_clusters(world, other)
        refused = browser.post(
            reverse("release_new"), self.values(other, kept_clusters(world, version))
        ).content.decode()
        assert "those of another version" in refused
        assert not Release.objects.exists()

    def test_nobody_is_offered_the_clusters_of_others(self, world, sign_in):
        found = kept_clusters(world, marked_version(world))
        page = sign_in(world.outsider).get(reverse("release_new"), self.values(found.version, None)).content.decode()
        assert str(found.pk) not in page

    @pytest.mark.parametrize(("group_by", "offered"), [("class", False), ("word", False), ("cluster", True)])
    def test_clusters_stand_in_the_form_of_their_own_grouping_alone(self, world, sign_in, group_by, offered):
        version = marked_version(world)
        found = kept_clusters(world, version)
        both = self.values(version, found) | self.values(version, None, 2, group_by=group_by)
        for headers in ({}, {"hx-request": "true"}):
            page = sign_in(world.rights_holder).post(reverse("release_new"), both | {"add_set": "1"}, headers=headers)
            assert 'name="set-1-clusters"' in page.content.decode()
            assert ('name="set-2-clusters"' in page.content.decode()) == offered
            assert 'name="set-2-groups"' in page.content.decode()
            assert "set-3-clusters" not in page.content.decode()

    def test_the_only_ones_are_taken_without_a_choice(self, world, sign_in):
        version = marked_version(world, per_group=24)
        found, _ = kept_clusters(world, version), kept_clusters(world, marked_version(world, name="Other"), seed=4)
        browser = sign_in(world.rights_holder)
        page = browser.get(reverse("release_new"), self.values(version, None)).content.decode()
        assert "None chosen" not in page
        assert page.count("clusters by Any encoder") == 1
        assert "cluster 6" in browser.get(reverse("release_plan"), self.values(version, None)).content.decode()
        browser.post(reverse("release_new"), self.values(version, None))  # as from a page without scripts
        (mark,) = Release.objects.get().key.mark_sets
        assert mark.clusters == found.digest

    def test_among_several_the_person_chooses(self, world, sign_in):
        version = marked_version(world, per_group=24)
        kept_clusters(world, version), kept_clusters(world, version, seed=4)
        page = sign_in(world.rights_holder).post(reverse("release_new"), self.values(version, None)).content.decode()
        assert "Choose the clusters" in page
        assert page.count("clusters by Any encoder") == 2
        assert "None chosen" in page
        assert not Release.objects.exists()

    def test_a_version_without_clusters_leads_to_where_they_are_made(self, world, sign_in):
        version = marked_version(world)
        page = sign_in(world.rights_holder).get(reverse("release_new"), self.values(version, None)).content.decode()
        assert "This version has no clusters yet" in page
        assert f"{reverse('clustering_new')}?version={version.pk}" in page
        assert "<select" not in page.partition('name="set-1-group_by"')[2].partition("Advanced settings")[0]


@pytest.mark.django_db(transaction=True)
def test_the_command_takes_a_digest(world, capsys):
    version = marked_version(world)
    found = kept_clusters(world, version)
    common = ["--as", "rosa", "--recipient", "Northgate", "--group-by", "cluster", "--json"]
    call_command("make_release", str(version.pk), "--clusters", found.digest[:12], "--here", *common)
    (made,) = json.loads(capsys.readouterr().out)["releases"]
    assert made["state"] == "ready"
    assert Release.objects.get().key.mark_sets.sets[0].clusters == found.digest
    for given, word in (([], "by the digest"), (["--clusters", "ffff"], "No clusters of")):
        with pytest.raises(SystemExit):
            call_command("make_release", str(version.pk), *given, *common)
        assert word in json.loads(capsys.readouterr().out)["error"]
