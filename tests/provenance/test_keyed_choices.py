"""Withheld sets by the services and commands: blocks in a job, what is refused, what a release leaves home."""

import json
from dataclasses import replace

import numpy as np
import pytest
from django.core.management import call_command

from provenance.blocking.rule import BlockingError, BlockRule
from provenance.marks import MarkSets, SettingsError
from provenance.marks.cluster_files import read_clusters
from provenance.models import Job, LogEntry, Release
from provenance.services import clusters, keys, releases
from provenance.services.blockings import named_blocking, order_blocks, with_signs
from provenance.services.jobs import worker
from provenance.services.keyed_choices import blocks_of, images_in_choice, keyed_choice, plan_choice
from provenance.services.keys import KeyStateError
from provenance.services.release_comparison import compared
from provenance.services.release_plans import ReleaseError, plan_sets
from tests.provenance.builders_releases import MARK, kept_clusters, marked_version
from tests.provenance.builders_withheld import blocked, made, withheld

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(world):
    """120 pictures in four classes, and an exact copy of each."""
    return marked_version(world, per_group=30, copies=1)


class TestBlocks:
    def test_a_job_makes_them_and_says_so(self, world, version):
        row = blocked(world, version)
        assert (row.units, row.blocks, row.images_in_blocks) == (120, 28, 224)  # 30 of a class: 7 blocks, 2 left over
        assert row.facts == {"images": 240, "largest_unit": 2, "units_of_several": 120, "flat": 0, "unread": 0}
        blocks = blocks_of(version, withheld(row))
        assert (blocks.units, blocks.blocks, blocks.files) == (120, 28, 224)
        entry = LogEntry.objects.get(verb="version.blocks_made")
        assert entry.digests == {"blocking": row.digest, "manifest_root": version.root}
        assert entry.details["blocks"] == 28

    def test_the_same_rule_gives_the_same_blocks_once(self, world, version):
        one, again = blocked(world, version), blocked(world, version)
        assert one == again
        assert named_blocking(version, one.digest[:10]) == one
        assert blocked(world, version, block_size=3) != one
        with pytest.raises(BlockingError, match="No blocks"):
            named_blocking(version, "0" * 64)

    def test_folders_make_units(self, world, version):
        job = order_blocks(version, BlockRule(folder_level=1), by=world.rights_holder)
        worker.run(str(job.pk))
        job.refresh_from_db()
        assert "nowhere are 4 units of one class" in job.reason
        assert not version.blockings.exists()

    def test_clusters_of_an_encoder_hold_blocks_together(self, world, version):
        kept = kept_clusters(world, version, groups=4)
        row = blocked(world, version, clusters=kept.digest, block_size=2, distance=0)
        blocks, labels = blocks_of(version, withheld(row)), read_clusters(version.folder, kept.digest)
        firsts = blocks.first_of_unit[blocks.alternatives]
        assert row.blocks > 20
        assert (labels[firsts] == labels[firsts][:, :1]).all()
        other = marked_version(world, per_group=4, name="Others")
        with pytest.raises(BlockingError, match="not those of this version"):
            order_blocks(other, BlockRule(clusters=kept.digest), by=world.rights_holder)

    def test_blocks_hold_what_is_near_in_an_encoders_features(self, world, version):
        """Signs that are drawn: images of equal halves of the manifest share theirs."""
        labels, half = np.zeros(version.file_count, np.uint16), np.arange(version.file_count) % 2
        signs = np.random.default_rng(1).integers(1, 2**63, (2, 8)).astype(np.uint64)[half]
        found = clusters.Found(labels, "Any encoder", "e" * 64, 7, {"inertia": 0.5}, signs)
        kept = clusters.keep(version, found, by=world.rights_holder)
        rule = with_signs(version, BlockRule(clusters=kept.digest, block_size=2, distance=0))
        assert rule.signs == kept.facts["signs"]
        row = blocked(world, version, **rule.to_dict())
        blocks = blocks_of(version, withheld(row))
        firsts = blocks.first_of_unit[blocks.alternatives]
        assert (half[firsts] == half[firsts][:, :1]).mean() > 0.9  # an odd one of each class is left
        path = version.folder / "clusters" / f"{rule.signs}.npy"
        path.unlink()
        job = order_blocks(version, replace(rule, block_size=3), by=world.rights_holder)
        worker.run(str(job.pk))
        job.refresh_from_db()
        assert "says which images are alike is gone" in job.reason

    def test_clusters_of_before_there_were_signs_get_them_when_they_are_found_again(self, world, version):
        kept = kept_clusters(world, version)
        assert with_signs(version, BlockRule(clusters=kept.digest)).signs == ""
        labels = read_clusters(version.folder, kept.digest)
        signs = np.ones((version.file_count, 8), np.uint64)
        again = clusters.keep(
            version, clusters.Found(labels, "Any encoder", "e" * 64, 7, {}, signs), by=world.rights_holder
        )
        assert again == kept
        assert with_signs(version, BlockRule(clusters=kept.digest)).signs

    def test_a_column_needs_a_csv(self, world, version):
        with pytest.raises(BlockingError, match="No CSV of labels"):
            order_blocks(version, BlockRule(unit_column="burst"), by=world.rights_holder)

    def test_a_cancelled_job_leaves_nothing_and_the_next_one_finishes(self, world, version):
        job = order_blocks(version, BlockRule(), by=world.rights_holder)
        Job.objects.filter(pk=job.pk).update(cancel_requested=True)
        worker.run(str(job.pk))
        job.refresh_from_db()
        assert job.state == Job.State.CANCELLED
        assert not version.blockings.exists()
        assert blocked(world, version).blocks == 28
        assert not (version.folder / "blockings" / "work").exists()

    def test_one_job_at_a_time(self, world, version):
        job = order_blocks(version, BlockRule(), by=world.rights_holder)
        assert order_blocks(version, BlockRule(), by=world.rights_holder) == job
        with pytest.raises(BlockingError, match="another rule"):
            order_blocks(version, BlockRule(block_size=2), by=world.rights_holder)


class TestPlan:
    def test_it_counts_what_would_stay_home(self, world, version):
        plan = plan_choice(version, withheld(blocked(world, version)))
        assert (plan.blocks, plan.blocks_there, plan.at_home) == (20, 28, 40)  # 40.8 images, two in every unit
        assert plan.smallest_p == 4.0**-20
        assert 0.5 < plan.chance_needed(0.01) < plan.chance_needed(0.0001) < 1

    def test_too_few_blocks_are_refused_with_what_would_do(self, world, version):
        row = blocked(world, version)
        with pytest.raises(SettingsError, match=r"use 6 of 28 blocks, and a test needs 20 .* A share of 0\.17 would"):
            plan_choice(version, withheld(row, 0.05))
        with pytest.raises(SettingsError, match="needs 24"):
            plan_choice(version, withheld(row), 1e-14)
        large = blocked(world, version, block_size=7)
        with pytest.raises(SettingsError, match="Make smaller blocks"):
            plan_choice(version, withheld(large, 0.1))
        other = marked_version(world, per_group=4, name="Others")
        with pytest.raises(SettingsError, match="another version"):
            plan_choice(other, withheld(row))

    def test_blocks_leave_struck_sets_too_little_room(self, world, version):
        row = blocked(world, version, block_size=2)
        plan_sets(version, MarkSets((MARK.replace(share=0.1), withheld(row))))
        with pytest.raises(SettingsError, match="no clean image"):
            plan_sets(version, MarkSets((MARK.replace(share=0.6), withheld(row))))

    def test_somebody_says_whether_it_is_kept_elsewhere(self, world, version):
        marks = MarkSets((withheld(blocked(world, version)),))
        with pytest.raises(ReleaseError, match="every other outlet"):
            releases.make_releases(version, ["N"], marks, by=world.rights_holder)
        with pytest.raises(ReleaseError, match="No image stays home"):
            releases.make_releases(version, ["N"], MarkSets((MARK,)), by=world.rights_holder, outlets="kept")


class TestRelease:
    def test_an_untouched_copy_lacks_what_stays_home(self, world, version):
        release = made(world, version, MarkSets((withheld(blocked(world, version)),)))
        assert release.marked_count == 0
        assert release.facts["files"] == 200
        assert release.facts["withheld"]["images_at_home"] == 40
        choice = keyed_choice(release)
        blocks = blocks_of(version, release.key.mark_sets.withheld)
        listed = {json.loads(line)["position"] for line in (release.folder / "home.jsonl").read_bytes().splitlines()}
        assert listed == set(choice.images_at_home(blocks).tolist())
        assert images_in_choice(release) == set(choice.images(blocks).tolist())
        entry = LogEntry.objects.get(verb="release.embedded")
        assert entry.details["stay home"] == 40
        assert LogEntry.objects.get(verb="release.ordered").details["stays home"] == "kept from every other outlet"

    def test_every_recipient_lacks_others(self, world, version):
        marks = MarkSets((withheld(blocked(world, version)),))
        one, other = (keyed_choice(made(world, version, marks, name)) for name in ("North", "South"))
        assert one.positions[one.home].tolist() != other.positions[other.home].tolist()
        first, second = Release.objects.all()
        comparison, back = compared(first), compared(second)
        assert comparison.original == comparison.others[0].differ == 0
        assert comparison.others[0].apart == back.others[0].apart > 0
        assert comparison.others[0].apart <= 80

    def test_beside_a_struck_set(self, world, version):
        marks = MarkSets((MARK.replace(share=0.1), withheld(blocked(world, version, block_size=2))))
        release = made(world, version, marks)
        marked = {json.loads(line)["position"] for line in (release.folder / "marked.jsonl").read_bytes().splitlines()}
        assert marked
        assert not marked & images_in_choice(release)

    def test_nothing_is_chosen_without_a_beacon_or_a_withheld_set(self, world, version):
        row = blocked(world, version)
        (ordered,) = releases.make_releases(
            version, ["N"], MarkSets((withheld(row),)), by=world.rights_holder, outlets="unknown"
        )
        with pytest.raises(KeyStateError, match="beacon"):
            keyed_choice(ordered)
        struck = made(world, version, MarkSets((MARK,)), outlets="")
        assert images_in_choice(struck) == frozenset()
        with pytest.raises(SettingsError, match="every image"):
            keyed_choice(struck)

    def test_another_file_of_blocks_than_was_committed_to_is_refused(self, world, version):
        row = blocked(world, version)
        (release,) = releases.make_releases(
            version, ["N"], MarkSets((withheld(row),)), by=world.rights_holder, outlets="kept"
        )
        path = version.folder / "blockings" / f"{row.digest}.npy"
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert "was altered" in release.job.reason
        assert keys.WatermarkKey.objects.get(pk=release.key_id).state == "committed"


class TestCommands:
    def run(self, capsys, *words: str):
        call_command(*words, "--as", "rosa", "--json")
        return json.loads(capsys.readouterr().out)

    def test_from_images_to_a_release(self, world, version, capsys):
        before = self.run(capsys, "list_presets", str(version.pk))["untouched"]
        assert "not in blocks yet" in before["refusal"]
        found = self.run(capsys, "block_images", str(version.pk), "--here")
        assert (found["blocks"], found["units"], found["largest_unit"]) == (28, 120, 2)
        listed = self.run(capsys, "list_presets", str(version.pk))["untouched"]
        assert (listed["blocks"], listed["blocks_used"], listed["stay_home"]) == (28, 6, 12)
        assert "a test needs 20" in listed["refusal"]
        answer = self.run(
            capsys, "make_release", str(version.pk), "--preset", "untouched", "--recipient", "North",
            "--blocks", found["blocking"][:12], "--home-share", "0.17", "--outlets", "kept", "--here",
        )  # fmt: skip
        (release,) = answer["releases"]
        assert release["state"] == "ready"
        assert release["withheld"]["images_at_home"] == 40
        assert (release["marked"], release["outlets"]) == (0, "kept")
