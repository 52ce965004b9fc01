"""Releases and keys in the browser's eyes: forms, live plan, gallery, download, and what auditors never see."""

import io
import zipfile

import pytest
from django.urls import reverse

from provenance import keying
from provenance.models import LogEntry, Release, WatermarkKey
from provenance.services import datasets, keys
from provenance.services.release_gallery import marked_page
from tests.provenance.builders_releases import marked_version, ordered_release, ready_release

pytestmark = [pytest.mark.django_db, pytest.mark.long]


@pytest.fixture
def version(world):
    return marked_version(world)


@pytest.fixture
def release(world, version):
    return ready_release(world, version)


@pytest.fixture
def browser(world, sign_in):
    return sign_in(world.rights_holder)


def text(response) -> str:
    return response.content.decode()


def form(version, **changes) -> dict[str, object]:
    """The filled-in form with one mark set; changes of a mark's fields go to that set."""
    common = {"version": str(version.pk), "recipients": "Northgate\nSouth University"}
    common |= {name: changes.pop(name) for name in ("recipients", "key", "note") if name in changes}
    mark = {"preset": "strong", "group_by": "class", "groups": "", "share": "25", **changes}
    return common | {f"set-1-{name}": value for name, value in mark.items()}


class TestNewRelease:
    def test_one_click_makes_a_release_for_each_recipient(self, browser, version, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            response = browser.post(reverse("release_new"), form(version))
        assert response.status_code == 302
        rows = Release.objects.all()
        assert {row.recipient for row in rows} == {"Northgate", "South University"}
        assert {row.state for row in rows} == {"ready"}
        assert {row.key.settings["opacity"] for row in rows} == {1.0}
        assert {row.key.settings["share"] for row in rows} == {0.25}

    def test_a_key_drawn_before_can_be_chosen(self, world, browser, version):
        key = keys.draw(version, by=world.rights_holder)
        browser.post(reverse("release_new"), form(version, recipients="Northgate", key=str(key.pk)))
        assert Release.objects.get().key == key

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"recipients": "A\na"}, "Name each recipient only once"),
            ({"groups": "ant\nbee"}, "Name at least 4 groups"),
            ({"groups": "ant\nbee\ncow\nelk"}, "No image belongs to the group elk"),
            ({"opacity": "10"}, "greater than or equal to 30"),
        ],
    )
    def test_mistakes_come_back_as_sentences(self, browser, version, changes, sentence):
        response = browser.post(reverse("release_new"), form(version, **changes))
        assert response.status_code == 200
        assert sentence in text(response)
        assert not Release.objects.exists()

    def test_a_version_of_others_is_refused(self, world, sign_in, version):
        response = sign_in(world.outsider).post(reverse("release_new"), form(version))
        assert response.status_code == 200
        assert not Release.objects.exists()


class TestFamilies:
    """Every family and both ways of marking, with the fields of the chosen one alone."""

    def fields(self, browser, version, **chosen) -> str:
        return text(browser.get(reverse("release_new"), form(version, **chosen), headers={"hx-request": "true"}))

    @pytest.mark.parametrize(
        ("family", "has", "lacks"),
        [
            ("patch", ("side", "opacity", "cells"), ("amplitude", "bend", "periods")),
            ("blend", ("amplitude", "periods"), ("side", "opacity", "cells", "bend", "finest")),
            ("spectral", ("amplitude", "periods", "finest"), ("side", "opacity", "cells", "bend")),
            ("warp", ("bend", "periods"), ("side", "opacity", "cells", "amplitude")),
        ],
    )
    def test_the_form_shows_the_options_of_the_family_alone(self, browser, version, family, has, lacks):
        page = self.fields(browser, version, family=family)
        assert all(f'name="set-1-{name}"' in page for name in (*has, "share", "groups", "group_by"))
        assert not any(f'name="set-1-{name}"' in page for name in lacks)

    def test_it_says_in_which_models_marks_left_a_trace(self, browser, version):
        two_views = "Models that see two views of an image and no caption"
        assert two_views in self.fields(browser, version)
        for chosen in ({"family": "blend"}, {"association": "plain"}):
            page = self.fields(browser, version, **chosen)
            assert "only patches in associated marks left a sure trace" in page
            assert two_views not in page
            assert "pilot" not in page

    @pytest.mark.parametrize(
        ("family", "association", "left"),
        [
            ("patch", "plain", "47 to 63 %"),
            ("blend", "plain", "20 to 49 %"),
            ("spectral", "associated", "0 to 62 %"),
            ("spectral", "plain", "0 to 26 %"),
            ("patch", "associated", ""),
            ("blend", "associated", ""),
            ("warp", "plain", ""),
        ],
    )
    def test_it_says_which_marks_jpeg_takes_from_small_images(self, browser, version, family, association, left):
        page = " ".join(self.fields(browser, version, family=family, association=association).split())
        note = f"JPEG (quality 75) leaves {left} of this mark, by strength"
        assert (note in page) if left else ("quality 75" not in page)

    @pytest.mark.parametrize(
        ("family", "association", "shares"),
        [("blend", "plain", "97, 71 and 100 %"), ("patch", "associated", "99, 91 and 69 %"), ("warp", "plain", "")],
    )
    def test_it_says_how_many_small_files_can_carry_a_mark(self, browser, version, family, association, shares):
        page = " ".join(self.fields(browser, version, family=family, association=association).split())
        note = f"Of JPEG files of 32 pixels {shares} can carry this mark, discreet to strong"
        assert (note in page) if shares else ("can carry this mark" not in page)

    def test_large_images_keep_their_marks_in_jpeg(self, world, browser, version):
        small_version = marked_version(world, name="Half", per_group=6, tiny=6)
        version.facts |= {"widths": [48, 500], "heights": [40, 375], "sizes": [[500, 375, 24], [48, 40, 24]]}
        version.save()
        chosen = {"family": "spectral", "association": "plain"}
        assert "quality 75" not in self.fields(browser, version, **chosen)
        assert "quality 75" in self.fields(browser, small_version, **chosen)

    def test_plain_marks_have_no_groups(self, browser, version):
        page = self.fields(browser, version, association="plain")
        assert 'name="set-1-groups"' not in page
        assert 'name="set-1-group_by"' not in page
        assert "48" in text(browser.get(reverse("release_plan"), form(version, association="plain", share="50")))

    @pytest.mark.parametrize(
        ("changes", "made"),
        [
            ({"family": "blend", "amplitude": "20"}, {"family": "blend", "amplitude": 20.0, "periods": 1}),
            ({"family": "spectral", "periods": "3"}, {"family": "spectral", "amplitude": 16.0, "periods": 3}),
            ({"family": "spectral", "finest": "7"}, {"family": "spectral", "amplitude": 16.0, "finest": 7}),
            ({"family": "warp", "bend": "6"}, {"family": "warp", "bend": 0.06, "periods": 1}),
            ({"association": "plain"}, {"family": "patch", "opacity": 1.0, "groups": []}),
            ({"association": "plain", "family": "warp"}, {"family": "warp", "bend": 0.08, "groups": []}),
        ],
    )
    def test_a_release_is_made_and_shown(self, browser, version, changes, made, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            browser.post(reverse("release_new"), form(version, recipients="Northgate", **changes))
        row = Release.objects.get()
        assert row.state == "ready", row.job and row.job.reason
        assert made.items() <= row.key.settings.items()
        assert row.key.settings["association"] == changes.get("association", "associated")
        assert row.marked_count == 12
        page = text(browser.get(reverse("release_detail", kwargs={"pk": row.pk})))
        assert f"{row.key.settings['family']}, {row.key.settings['association']}" in page
        assert ("of all images" in page) == (changes.get("association") == "plain")

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"family": "blend", "opacity": "50"}, "The family &#x27;blend&#x27; has no opacity"),
            ({"family": "warp", "amplitude": "8"}, "The family &#x27;warp&#x27; has no amplitude"),
            ({"alpha": "0.01"}, "With 4 groups the smallest reachable p is 1 / 4! = 0.042"),
            ({"alpha": "0.5"}, "Alpha lies above 0 and at most at 0.1"),
            ({"association": "plain", "alpha": "0.00001"}, "more than 10,000 decoy keys"),
            ({"association": "plain", "cells": "3"}, "greater than or equal to 4"),
            ({"family": "lightning"}, "Select a valid choice"),
        ],
    )
    def test_what_cannot_be_is_refused_with_a_reason(self, browser, version, changes, sentence):
        response = browser.post(reverse("release_new"), form(version, **changes))
        assert sentence in text(response)
        assert not WatermarkKey.objects.exists()


class TestPlan:
    def test_it_counts_each_group_and_warns(self, browser, version):
        page = text(browser.get(reverse("release_plan"), form(version)))
        assert "12 of 48" in page
        assert "Fewer than 50" in page
        assert "cow" in page

    def test_it_counts_words(self, browser, version):
        asked = form(version, group_by="word", groups="ant\nbee\ncow\ndog", share="40")
        assert "16 of 48" in text(browser.get(reverse("release_plan"), asked))

    @pytest.mark.parametrize("association", ["associated", "plain"])
    def test_marks_on_everything_are_refused_before_a_key_is_drawn(self, browser, version, association):
        asked = form(version, association=association, share="100")
        page = text(browser.get(reverse("release_plan"), asked))
        assert "These marks would leave" in page
        assert "raise the share" not in page
        answer = browser.post(reverse("release_new"), asked)
        assert answer.status_code == 200
        assert "These marks would leave" in text(answer)
        assert not WatermarkKey.objects.exists()

    def test_a_class_of_one_image_is_refused(self, world, browser):
        version = marked_version(world, name="Lone", sizes={"ant": 12, "bee": 12, "cow": 12, "dog": 1})
        page = text(browser.get(reverse("release_plan"), form(version)))
        assert "no clean image to compare with among the images of the group dog" in page

    @pytest.mark.parametrize(("family", "edge"), [("blend", 80), ("spectral", 90), ("warp", 60)])
    def test_waves_that_the_images_cannot_carry_are_refused(self, browser, version, family, edge):
        asked = form(version, family=family, periods="8")
        refusal = f"This mark needs images of {edge} pixels or more on the short edge, and 48 of the 48 images"
        assert refusal in text(browser.get(reverse("release_plan"), asked))
        assert refusal in text(browser.post(reverse("release_new"), asked))
        assert not WatermarkKey.objects.exists()

    def test_it_says_which_model_inputs_are_too_small(self, browser, version):
        assert "30 pixels; a model with smaller" in text(
            browser.get(reverse("release_plan"), form(version, family="blend", periods="3"))
        )
        assert "Model input needed" not in text(browser.get(reverse("release_plan"), form(version)))
        asked, part = form(version, family="spectral"), {"hx-request": "true"}
        fields = text(browser.get(reverse("release_new"), asked, headers=part))
        assert "Every period needs 12 pixels" in fields

    def test_it_counts_images_that_are_too_small(self, world, browser):
        version = marked_version(world, name="Mixed", tiny=3)
        page = text(browser.get(reverse("release_plan"), form(version, family="blend")))
        assert "12 of the 60 images have a short edge below 10 pixels" in page
        assert "short edge below" not in text(browser.get(reverse("release_plan"), form(version)))

    def test_it_says_what_is_missing(self, browser, version):
        page = text(browser.get(reverse("release_plan"), form(version, group_by="word")))
        assert "Name at least 4 groups" in page

    def test_it_draws_no_key(self, browser, version):
        browser.get(reverse("release_plan"), form(version))
        assert not WatermarkKey.objects.exists()


class TestDownload:
    def url(self, release) -> str:
        return reverse("release_download", kwargs={"pk": release.pk})

    def body(self, response) -> bytes:
        return b"".join(response.streaming_content)

    @pytest.fixture
    def whole(self, browser, release) -> bytes:
        return self.body(browser.get(self.url(release)))

    def test_it_is_a_zip_of_the_copy(self, browser, release):
        response = browser.get(self.url(release))
        data = self.body(response)
        assert response.status_code == 200
        assert int(response["Content-Length"]) == len(data)
        assert response["Accept-Ranges"] == "bytes"
        assert "meadows-1-northgate.zip" in response["Content-Disposition"]
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 48
        assert LogEntry.objects.filter(verb="release.downloaded").count() == 1

    def test_it_resumes(self, browser, release, whole):
        before = LogEntry.objects.filter(verb="release.downloaded").count()
        response = browser.get(self.url(release), headers={"Range": "bytes=1000-"})
        assert response.status_code == 206
        assert response["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
        assert self.body(response) == whole[1000:]
        assert LogEntry.objects.filter(verb="release.downloaded").count() == before

    def test_a_range_beyond_the_end_is_refused(self, browser, release, whole):
        response = browser.get(self.url(release), headers={"Range": f"bytes={len(whole)}-"})
        assert response.status_code == 416
        assert response["Content-Range"] == f"bytes */{len(whole)}"

    def test_if_range_guards_against_another_copy(self, browser, release, whole):
        tag = browser.head(self.url(release))["ETag"]
        same = browser.get(self.url(release), headers={"Range": "bytes=0-9", "If-Range": tag})
        other = browser.get(self.url(release), headers={"Range": "bytes=0-9", "If-Range": '"other"'})
        assert (same.status_code, self.body(same)) == (206, whole[:10])
        assert (other.status_code, self.body(other)) == (200, whole)

    def test_head_and_not_modified(self, browser, release, whole):
        head = browser.head(self.url(release))
        assert head["Content-Length"] == str(len(whole))
        assert not head.content
        assert browser.get(self.url(release), headers={"If-None-Match": head["ETag"]}).status_code == 304

    def test_two_downloads_are_the_same_bytes(self, browser, release, whole):
        assert self.body(browser.get(self.url(release))) == whole

    def test_a_release_that_is_not_ready_has_no_download(self, world, browser, version):
        assert browser.get(self.url(ordered_release(world, version))).status_code == 404


class TestGallery:
    def test_it_shows_original_marked_and_difference(self, browser, release):
        page = text(browser.get(reverse("release_gallery", kwargs={"pk": release.pk})))
        row = marked_page(release, 1)[0]
        assert row.path in page
        pictures = [
            browser.get(reverse("release_picture", kwargs={"pk": release.pk, "position": row.position, "kind": kind}))
            for kind in ("original", "marked", "difference")
        ]
        assert {picture["Content-Type"] for picture in pictures} == {"image/webp"}
        assert len({picture.content for picture in pictures}) == 3

    def test_it_shows_no_other_image(self, browser, release):
        marked = {row.position for page in (1, 2) for row in marked_page(release, page)}
        other = next(position for position in range(48) if position not in marked)
        url = reverse("release_picture", kwargs={"pk": release.pk, "position": other, "kind": "original"})
        assert browser.get(url).status_code == 404

    def test_every_marked_image_is_on_one_page(self, release):
        rows = [row.position for page in (1, 2) for row in marked_page(release, page)]
        assert len(rows) == len(set(rows)) == release.marked_count


class TestSecrets:
    PAGES = ("release_detail", "release_gallery", "release_download")

    @pytest.fixture
    def secret_words(self, release):
        plain = keying.open_sealed(keys.key_provider(), bytes(release.key.sealed), keys._record_name(release.key))
        return [plain[:32].hex(), plain[32:].hex(), bytes(release.key.sealed).hex()]

    def test_no_page_shows_the_key(self, world, sign_in, release, secret_words):
        for person in (world.rights_holder, world.legal, world.auditor):
            client = sign_in(person)
            for name in ("release_list", "key_list", "log_list", "overview"):
                page = client.get(reverse(name), follow=True).content.decode()
                assert not any(word in page for word in secret_words)
            for name, pk in (
                ("release_detail", release.pk),
                ("key_detail", release.key_id),
                ("job_detail", release.job_id),
            ):
                page = client.get(reverse(name, kwargs={"pk": pk})).content.decode()
                assert not any(word in page for word in secret_words)

    def test_auditors_see_the_release_but_not_which_images_it_marks(self, world, sign_in, release):
        datasets.grant(release.version.dataset, "gita", by=world.rights_holder)
        paths = [row.path for page in (1, 2) for row in marked_page(release, page)]
        for person in (world.auditor, world.guest_auditor):
            client = sign_in(person)
            answers = {name: client.get(reverse(name, kwargs={"pk": release.pk})) for name in self.PAGES}
            assert [answer.status_code for answer in answers.values()] == [200, 403, 403]
            page = text(answers["release_detail"])
            assert release.key.commitment in page
            assert not any(path in page for path in paths)
            assert reverse("release_download", kwargs={"pk": release.pk}) not in page
            assert reverse("key_detail", kwargs={"pk": release.key_id}) not in page
            assert client.get(reverse("key_detail", kwargs={"pk": release.key_id})).status_code == 404


class TestKeys:
    def test_a_key_is_drawn_and_dropped_and_stays_in_the_list(self, browser, version):
        browser.post(reverse("key_draw"), {"version": str(version.pk)})
        key = WatermarkKey.objects.get()
        detail = reverse("key_detail", kwargs={"pk": key.pk})
        assert "It binds nothing yet" in text(browser.get(detail))
        browser.post(reverse("key_drop", kwargs={"pk": key.pk}), {"reason": "only a trial"})
        page = text(browser.get(reverse("key_list")))
        assert "only a trial" in page
        assert "1 dropped" in page

    def test_a_missing_reason_comes_back(self, world, browser, version):
        key = keys.draw(version, by=world.rights_holder)
        response = browser.post(reverse("key_drop", kwargs={"pk": key.pk}), {"reason": ""})
        assert response.status_code == 200
        assert "required" in text(response)

    def test_pages_stay_cheap_with_many_rows(self, world, browser, version, django_assert_max_num_queries):
        for number in range(12):
            ordered_release(world, version, f"Recipient {number}")
        with django_assert_max_num_queries(15):
            browser.get(reverse("key_list"))
        with django_assert_max_num_queries(15):
            browser.get(reverse("release_list"))


def test_a_failed_release_says_why(world, browser, version):
    from provenance.services.jobs import worker

    release = ordered_release(world, version)
    for path in version.files_folder.rglob("*.jpg"):
        path.unlink()
    worker.run(str(release.job_id))
    page = text(browser.get(reverse("release_detail", kwargs={"pk": release.pk})))
    assert "changed or gone" in page
