"""What presets cost and bring: counted for the version and its groups, measured on its images, on page and command."""

import json
import re
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse
from PIL import Image

from provenance.embedding.trial import Trial, strength_of, try_strength
from provenance.marks import PRESETS, MarkSettings, families
from provenance.models import Job, WatermarkKey
from provenance.services import releases
from provenance.services.jobs import queue, worker
from provenance.services.presets import KIND, TRIAL_IMAGES, TRIALS, cost_of, order_trials, trial_of
from tests.provenance.builders_releases import kept_clusters, marked_version
from tests.provenance.embedding.builders import GROUPS, as_bytes, jpeg, lossy_webp

pytestmark = pytest.mark.long

IMAGES = [jpeg(number) for number in range(8)]


def strength(preset: str = "balanced", family: str = "patch", association: str = "associated") -> MarkSettings:
    groups = GROUPS if association == "associated" else ()
    return PRESETS[preset].settings(groups, "class", family, association=association)


def small_jpeg(seed: int) -> bytes:
    """32 pixels, and colour at half of that."""
    return as_bytes(Image.open(BytesIO(jpeg(seed))).resize((32, 32)), quality=75)


class TestWords:
    """What presets promise is what trials showed, and of which models."""

    @pytest.mark.parametrize("name", PRESETS)
    def test_evidence_is_told_of_the_models_that_were_tried(self, name):
        sentence = PRESETS[name].describe("patch")
        assert "strong evidence" not in sentence
        assert ("small models trained with captions" in sentence) or ("one small model" in sentence)
        assert re.search(r"\d+ marked images per group", sentence)

    @pytest.mark.parametrize("family", families())
    def test_other_marks_promise_nothing(self, family):
        assert "per group" not in PRESETS["strong"].describe(family, "plain")


class TestTrial:
    @pytest.mark.parametrize("family", families())
    @pytest.mark.parametrize("association", ["associated", "plain"])
    def test_stronger_presets_change_images_more(self, family, association):
        trials = [try_strength(IMAGES, strength(name, family, association), b"seed") for name in PRESETS]
        assert [trial.psnr for trial in trials] == sorted((trial.psnr for trial in trials), reverse=True)
        for trial in trials:
            assert 0 < trial.marked <= trial.tried == 8
            assert trial.lowest_psnr <= trial.psnr <= trial.highest_psnr
            assert 0.7 <= trial.survival <= 1.3
            assert 0.5 < trial.growth < 2

    def test_the_same_seed_measures_the_same(self):
        assert try_strength(IMAGES, strength(), b"1") == try_strength(IMAGES, strength(), b"1")
        assert try_strength(IMAGES, strength(), b"1") != try_strength(IMAGES, strength(), b"2")

    def test_groups_and_share_are_no_part_of_a_strength(self):
        bare = strength_of(strength())
        changed = strength().replace(groups=tuple("vwxyz"), group_by="word", share=0.5, size_classes=(0, 0, 0, 1, 1))
        assert strength_of(changed) == bare
        assert strength_of(strength().replace(opacity=0.5)) != bare

    def test_files_that_cannot_be_marked_are_counted(self):
        reason = "The file is not a JPEG, PNG or WebP image."
        assert try_strength([b"no image"], strength(), b"") == Trial(tried=1, marked=0, passed_over={reason: 1})
        assert try_strength([], strength(), b"") == Trial(tried=0, marked=0)

    @pytest.mark.parametrize(("family", "all_carried"), [("spectral", False), ("blend", True)])
    def test_patterns_that_no_image_can_carry_are_counted(self, family, all_carried):
        """Half the colour of 32 pixels holds no fine wave; brightness holds a coarse one."""
        trial = try_strength([small_jpeg(number) for number in range(16)], strength(family=family), b"seed")
        assert trial.patterns == 24
        assert (trial.carried == 24) is all_carried
        assert trial.carried > 12
        assert trial.chance_of_a_bare_group(8) == pytest.approx(1 - (trial.carried / 24) ** 8)

    def test_without_the_finest_waves_small_files_carry_more(self):
        images, fine = [small_jpeg(number) for number in range(16)], strength(family="spectral")
        trial = try_strength(images, fine.replace(finest=7), b"seed")
        assert trial.patterns == 24
        assert trial.carried >= max(23, try_strength(images, fine, b"seed").carried + 1)

    def test_files_that_no_pattern_suits_say_nothing_of_patterns(self):
        """Of a plain mark there is one pattern and no group."""
        mixed = [image for number in range(12) for image in (small_jpeg(number), lossy_webp(number))]
        alone = try_strength(mixed[::2], strength(family="spectral"), b"seed")
        trial = try_strength(mixed, strength(family="spectral"), b"seed")
        assert (trial.tried, trial.patterns, trial.uncarried) == (24, alone.patterns, alone.uncarried)
        assert try_strength(mixed, strength(association="plain"), b"seed").chance_of_a_bare_group(0) == 0

    @pytest.mark.shared
    @pytest.mark.parametrize("family", families())
    @pytest.mark.parametrize("association", ["associated", "plain"])
    def test_what_the_presets_say_is_what_is_measured(self, shared, family, association):
        """Six images of each set against the means of a hundred that the sentences quote."""
        from provenance.marks.presets import _PSNR
        from tests.benchmarks.preset_psnr import pictures

        for number, archive in enumerate(("cifar10.zip", "photos.zip")):
            images = pictures(shared / "data" / archive, 6)
            for name in PRESETS:
                trial = try_strength(images, strength(name, family, association), b"benchmark")
                quoted = _PSNR[family, association][name][number]
                if quoted is None:
                    assert trial.share < 0.2
                elif trial.marked:  # of six small files none may be among the few that can carry a faint mark
                    assert trial.psnr == pytest.approx(quoted, abs=3)


@pytest.mark.django_db
class TestCost:
    @pytest.fixture
    def version(self, world):
        return marked_version(world)

    def test_it_is_what_a_release_then_does(self, world, version):
        mark = strength().replace(share=0.4)
        worker.run(str(order_trials(version, [mark], by=world.rights_holder).pk))
        cost = cost_of(version, mark)
        (release,) = releases.make_releases(version, ["N"], releases.MarkSets((mark,)), by=world.rights_holder)
        worker.run(str(release.job_id))
        release.refresh_from_db()
        assert cost.plan.marked == release.marked_count == 16
        assert (cost.fewest, cost.most) == (4, 4)
        assert cost.trial.psnr == pytest.approx(release.facts["psnr"]["mean"], abs=1.5)
        marked = [json.loads(line)["path"] for line in (release.folder / "marked.jsonl").read_text().splitlines()]
        written = sum((release.folder / "files" / path).stat().st_size for path in marked)
        assert cost.bytes_written == pytest.approx(written, rel=0.1)
        assert WatermarkKey.objects.count() == 1  # the trial drew none

    def test_what_is_refused_has_its_reason(self, version):
        cost = cost_of(version, strength().replace(groups=("ant", "bee", "cow", "dog"), group_by="class"), "Too few.")
        assert (cost.plan, cost.refusal, cost.bytes_written) == (None, "Too few.", None)

    def test_a_strength_is_measured_once(self, world, version):
        marks = [strength("balanced"), strength("strong")]
        first = order_trials(version, marks, by=world.rights_holder)
        assert order_trials(version, marks, by=world.rights_holder) == first
        worker.run(str(first.pk))
        assert order_trials(version, marks, by=world.rights_holder) is None
        assert trial_of(version, marks[0]).tried == TRIAL_IMAGES
        second = order_trials(version, [*marks, strength("discreet")], by=world.rights_holder)
        assert len(second.params["strengths"]) == 1

    @pytest.mark.parametrize("earlier", ["trials", "trials-like-source", "trials-settled"])
    def test_what_was_measured_while_files_were_written_otherwise_is_not_shown(self, world, version, earlier):
        worker.run(str(order_trials(version, [strength()], by=world.rights_holder).pk))
        (version.folder / TRIALS).rename(version.folder / earlier)
        assert trial_of(version, strength()) is None
        assert order_trials(version, [strength()], by=world.rights_holder) is not None

    def test_it_is_for_rights_holders(self, world, version):
        for person in (world.auditor, world.legal, world.outsider):
            with pytest.raises(PermissionDenied):
                order_trials(version, [strength()], by=person)

    def test_a_cancelled_job_measures_nothing_and_one_that_fails_says_why(self, world, version):
        job = order_trials(version, [strength()], by=world.rights_holder)
        queue.cancel(job, by=world.rights_holder)
        assert trial_of(version, strength()) is None
        job = order_trials(version, [strength()], by=world.rights_holder)
        for path in version.files_folder.rglob("*.jpg"):
            path.unlink()
        worker.run(str(job.pk))
        job.refresh_from_db()
        assert (job.state, "gone" in job.reason) == (Job.State.FAILED, True)


@pytest.mark.django_db
class TestPage:
    @pytest.fixture
    def version(self, world):
        return marked_version(world)

    @pytest.fixture
    def ask(self, world, sign_in, version, django_capture_on_commit_callbacks):
        client = sign_in(world.rights_holder)

        def ask(**fields: str) -> str:
            values = {f"set-1-{name}": value for name, value in fields.items() if name not in ("measure", "set")}
            said = {"set-1-preset": "balanced", "set-1-group_by": "class", **values, "version": str(version.pk)}
            orders = {name: fields[name] for name in ("measure", "set") if name in fields}
            with django_capture_on_commit_callbacks(execute=True):
                answer = client.post(reverse("release_presets"), {**said, "set": "1", **orders})
            return " ".join(answer.content.decode().split())

        return ask

    def test_it_orders_the_measuring_and_shows_what_was_measured(self, ask):
        before = ask()
        assert "about to be measured" in before
        assert not Job.objects.exists()
        assert "queued" in ask(measure="1")  # and then run: a test's jobs run once the request is answered
        page = ask()
        assert page.count(" dB</td>") == 6
        assert "measured on 24 images of this version" in page
        assert Job.objects.filter(kind=KIND).count() == 1
        assert ask() == page

    def test_it_counts_for_the_chosen_groups_and_share(self, ask):
        page = ask(share="50")
        assert page.count("24</td>") == 3
        assert ">50 %<" in page
        assert page.count("0.042</td>") == 3  # 1 / 4!

    def test_what_is_missing_is_said_and_psnr_measured_all_the_same(self, ask):
        ask(group_by="word", measure="1")
        page = ask(group_by="word")
        assert "Name at least 4 groups" in page
        assert "measured on 24 images" in page

    def test_an_alpha_out_of_reach_is_refused_with_its_reason(self, ask):
        assert "With 4 groups the smallest reachable p" in ask(alpha="0.01")

    def test_an_adjusted_strength_is_measured_when_asked_for(self, ask):
        ask(measure="1")
        page = ask(opacity="50")
        assert "Measure it on a few images" in page
        ask(opacity="50", measure="1")
        page = ask(opacity="50")
        assert page.count(" dB</td>") == 6
        assert len(Job.objects.filter(kind=KIND).first().params["strengths"]) == 1  # all three have it alike

    def test_plain_marks_have_no_groups(self, ask):
        ask(association="plain", family="blend", measure="1")
        page = ask(association="plain", family="blend")
        assert "by the decoys" in page
        assert page.count(" dB</td>") == 6

    def test_a_family_that_cannot_mark_these_images_is_told_apart(self, ask, version):
        """Grey pictures have no colour planes for the spectral family to write into."""
        for path in version.files_folder.rglob("*.jpg"):
            Image.open(path).convert("L").save(path)
        ask(family="spectral", measure="1")
        page = ask(family="spectral")
        assert "No image of this version that was tried could be marked like this" in page
        assert page.count("none could be marked") == 3

    def test_patterns_that_hardly_an_image_can_carry_are_told_before_the_release(self, ask, version):
        for number, path in enumerate(version.files_folder.rglob("*.jpg")):
            path.write_bytes(small_jpeg(number))
        ask(family="spectral", measure="1")
        page = ask(family="spectral")
        found = re.search(r"(\d+) of 24 patterns that were tried were carried by none of some 24 images", page)
        assert found
        assert int(found[1]) > 0
        assert re.search(r"Of keys for 4 groups up to \S+ % have such a pattern", page)
        assert "Choose fewer of the finest waves" in page
        ask(family="spectral", finest="7", measure="1")
        page = ask(family="spectral", finest="7")
        fewer = re.search(r"(\d+) of 24 patterns that were tried", page)
        assert not fewer or int(fewer[1]) < int(found[1])
        assert "Choose fewer of the finest waves" not in page
        ask(family="blend", measure="1")
        assert "patterns that were tried" not in ask(family="blend")

    def test_a_failure_is_said(self, ask, version):
        for path in version.files_folder.rglob("*.jpg"):
            path.unlink()
        ask(measure="1")
        page = ask()
        assert "gone or cannot be read" in page
        assert "Measure again" in page

    @pytest.mark.parametrize("number", ["0", "2", "x", ""])
    def test_a_set_that_is_not_there_has_no_costs(self, ask, number):
        assert ask(set=number) == ""

    def test_versions_of_others_have_none(self, world, sign_in, version):
        data = {"version": str(version.pk), "set": "1", "set-1-preset": "strong", "set-1-group_by": "class"}
        assert not sign_in(world.outsider).post(reverse("release_presets"), data).content


@pytest.mark.django_db
class TestCommand:
    @pytest.fixture
    def told(self, world, capsys):
        version = marked_version(world)

        def run(*options: str, person="rosa", version=version):
            call_command("list_presets", str(version.pk), "--as", person, "--here", "--json", *options)
            return json.loads(capsys.readouterr().out.splitlines()[-1])

        return run

    @pytest.fixture
    def refused(self, told, capsys):
        def run(*options: str, **who: object):
            with pytest.raises(SystemExit):
                told(*options, **who)
            return json.loads(capsys.readouterr().out.splitlines()[-1])["error"]

        return run

    def test_it_says_the_same(self, told, refused):
        found = told("--family", "spectral")
        assert [row["preset"] for row in found["presets"]] == ["discreet", "balanced", "strong"]
        assert all(row["measured_on"] == 24 and row["psnr"] > 25 for row in found["presets"])
        assert found["presets"][0]["groups"] == dict.fromkeys(GROUPS, 2)
        refused(person="adam")

    def test_groups_are_words_only_where_they_are_named(self, told, refused):
        words = [word for group in GROUPS for word in ("--group", group)]
        assert told("--group-by", "word", *words)["presets"][0]["groups"] == dict.fromkeys(GROUPS, 2)
        assert "Name the words" in refused("--group-by", "word")

    def test_groups_may_be_clusters(self, world, told, refused):
        version = marked_version(world, name="Heath")
        found = kept_clusters(world, version)
        presets = told("--group-by", "cluster", "--clusters", found.digest[:12], version=version)["presets"]
        assert presets[0]["groups"].keys() == set(found.names)
        assert "by the digest" in refused("--group-by", "cluster", version=version)
