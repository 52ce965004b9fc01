"""Audits of releases in which pictures come in one of two versions, from the plan to page, JSON and report."""

from __future__ import annotations

import io
import json
from html import unescape

import pytest
from django.urls import reverse
from pypdf import PdfReader

from audits.models import Audit, Report
from audits.report.facts import ReportFacts
from audits.services.reports import issuing
from audits.services.results.as_json import as_json
from audits.services.runs import queueing
from audits.services.runs.choices import choose_alternatives
from audits.statistics.combination import combine
from provenance.marks import MarkSettings
from provenance.services.version_choices import published_versions
from tests.audits.builders_captions import captioned_version, clip_weights, register_clip
from tests.audits.builders_choice_runs import SURE, locked_plan, make_version, register, remembering
from tests.audits.builders_runs import CLASSES
from tests.audits.builders_version_runs import both_versions, in_copy, knowing, versions_release
from tests.audits.test_other_tests_run import run_of
from tests.known_keys import known_keys

pytestmark = [pytest.mark.suspect, pytest.mark.long, pytest.mark.django_db(transaction=True)]
PER_CLASS = 10
LEVELS = ("features", "soft", "hard")
OF_IMAGES_AT_HOME = ("mages that stayed home", "mages at home", "image that stayed home", "published images")


def run(world, plan) -> Audit:
    audit = queueing.queue(plan, by=world.auditor)
    audit = Audit.objects.select_related("job", "plan").get(pk=audit.pk)
    assert (audit.state, audit.job.reason) == ("done", "")
    return audit


@pytest.fixture
def copy(world):
    with known_keys(1):
        return versions_release(world, make_version(world, per_class=PER_CLASS))


def test_a_model_that_knows_the_published_versions_is_found_and_an_innocent_one_is_not(world, copy, tmp_path, sign_in):
    pictures = len(published_versions(copy))
    assert copy.facts["versions"]["blocks"] == pictures > 50
    published, home = both_versions(copy, tmp_path)
    assert (published == in_copy(copy)).all()
    guilty = register(world, "guilty", knowing(published, home, seed=1))
    innocent = register(world, "innocent", remembering(None, seed=2))
    references = [register(world, f"reference-{n}", remembering(None, seed=n), "reference") for n in (3, 4)]
    found = run(world, locked_plan(world, [copy], guilty, references=references))
    row = found.rows.get()
    level = row.result["levels"]["features"]
    assert found.conclusion == "evidence", found.sentence
    assert row.p < 1e-4
    assert level["without"]["blocks"] == pictures
    assert not level["tainted"]
    assert (row.result["blocks"], row.result["alternatives"], row.result["views"]) == (pictures, 2 * pictures, 6)
    assert found.facts["forward_passes"] == 3 * 2 * pictures * 6
    assert not found.made_folder.exists()
    cleared = run(
        world, locked_plan(world, [copy], innocent, references=references, wrong_key_control=True, alpha=SURE)
    )
    assert cleared.conclusion == "no_evidence"
    levels = cleared.rows.get().result["levels"]
    assert levels["features"]["controls"][0]["kind"] == "wrong key"
    assert levels["features"]["smallest_p"] == pytest.approx(2.0**-pictures)
    _check_page_and_json(world, found, sign_in)
    _check_report(world, found, pictures)


def _check_page_and_json(world, audit, sign_in):
    """Everything speaks of versions, nothing of images that stayed home."""
    for person in (world.rights_holder, world.auditor):
        page = unescape(sign_in(person).get(reverse("audit_detail", args=[audit.pk])).content.decode())
        assert "Published versions of pictures and those that stayed home" in page
        assert "Of every picture the key chose by chance which of its two versions was published" in page
        assert "What the numbers about two versions of a picture are worth" in page
        told = json.dumps(as_json(audit, person))
        assert set(json.loads(told)["releases"][0]["result"]["levels"]) == set(LEVELS)
        for text in (page, told):
            assert ".png" not in text
            assert not [words for words in OF_IMAGES_AT_HOME if words in text]


def _check_report(world, audit, pictures):
    report = issuing.issue(audit, by=world.legal)
    report.refresh_from_db()
    assert report.state == Report.State.ISSUED, report.job.reason
    with report.json.open("rb") as stream:
        facts = ReportFacts.from_json(stream.read())
    (release,) = facts.releases
    assert (facts.plan.test, facts.has_versions) == ("choice", True)
    assert (release.blocks, release.alternatives, release.in_versions) == (pictures, 2 * pictures, pictures)
    assert 33 < release.versions_psnr_mean < 36
    with report.pdf.open("rb") as stream:
        pages = PdfReader(io.BytesIO(stream.read())).pages
        text = " ".join(" ".join(page.extract_text().replace("\u200b", "").split()) for page in pages)
    for words in (
        "Some images of the copy come in one of two versions",
        "Views of both versions of every picture 6 of every version",
        f"{pictures} pictures, of each of which the key chose the version that stayed home",
        "Two versions of a picture. A public rule makes both from the source",
        f"none; {pictures} come in one of two versions",
        "Versions that stayed home.",
        "Kind two faint versions of a picture, of which one stays home",
        "PSNR between a version and its source 34 dB",
    ):
        assert words in text, words
    assert not [words for words in OF_IMAGES_AT_HOME if words in text]
    assert ".png" not in text


def test_versions_are_combined_with_a_struck_set_of_the_same_release(world, tmp_path, sign_in):
    with known_keys(6):
        marks = MarkSettings(groups=CLASSES, share=0.05, side=0.25, opacity=1.0)
        release = versions_release(world, make_version(world, per_class=40), "North", marks, share=0.3)
    suspect = register(world, "suspect", knowing(*both_versions(release, tmp_path), seed=1))
    audit = run(world, locked_plan(world, [release], suspect, probes=12, group_images=2, permutations=1000))
    result = audit.rows.get().result
    struck, choice = result["sets"]
    assert (choice["test"], choice["set"], choice["family"]) == ("choice", 2, "versions")
    p = [one["levels"]["features"]["p_without"] for one in (struck, choice)]
    assert result["levels"]["features"]["p_without"] == combine(p, [720, None]).p
    assert p[1] < 1e-4
    assert audit.plan.frozen["statistic"].startswith("two versions of a picture: sum over blocks")
    page = sign_in(world.auditor).get(reverse("audit_detail", args=[audit.pk]), {"set": "2"}).content.decode()
    assert "versions, pictures in one of two versions" in page
    assert "Which version of every picture stayed home" in page


def test_whose_copy_was_used_is_told_by_one_audit_of_all_copies(world, copy, tmp_path):
    with known_keys(2):
        other = versions_release(world, copy.version, "South")
    suspect = register(world, "suspect", knowing(*both_versions(other, tmp_path), seed=1))
    audit = run(world, locked_plan(world, [copy, other], suspect, looks=2, alpha=SURE))
    assert {row.release.recipient: row.conclusion for row in audit.rows.all()} == {
        "North": "no_evidence",
        "South": "evidence",
    }


def test_a_reference_that_knows_the_versions_at_home_is_caught(world, copy, tmp_path):
    published, home = both_versions(copy, tmp_path)
    rigged = register(world, "rigged", knowing(home, published, seed=5), "reference")
    innocent = register(world, "innocent", remembering(None, seed=2))
    plan = locked_plan(world, [copy], innocent, references=[rigged], decide_with_references=True)
    row = run(world, plan).rows.get()
    assert row.result["levels"]["features"]["tainted"] == ["rigged"]
    assert row.conclusion == "inconclusive"


def test_both_versions_of_a_picture_are_asked_about_with_its_caption(world):
    with known_keys(3):
        release = versions_release(world, captioned_version(world, per_class=PER_CLASS))
    suspect = register_clip(world, "suspect", clip_weights(2))
    plan = locked_plan(world, [release], suspect, membership_score="caption")
    audit = run(world, plan)
    (chosen,) = choose_alternatives(audit, release, run_of(audit))
    assert len(chosen.captions) == len(chosen.files) == 2 * len(chosen.choice)
    assert chosen.captions[::2] == chosen.captions[1::2]
    assert len(set(chosen.captions)) > len(chosen.choice) / 2
    level = audit.rows.get().found.levels["features"]
    assert level.without.score == "caption"
    assert level.without.blocks == len(chosen.choice)


def test_a_copy_whose_versions_cannot_be_made_again_ends_the_run_with_a_sentence(world, copy):
    source = next((copy.version.files_folder).rglob("*.png"))
    source.write_bytes(source.read_bytes() + b"\0")
    suspect = register(world, "suspect", remembering(None, seed=2))
    audit = queueing.queue(locked_plan(world, [copy], suspect), by=world.auditor)
    audit.refresh_from_db()
    assert audit.state == "failed"
    assert audit.asked_at is None
    assert "A source file was changed since the release was made." in audit.job.reason
    assert not audit.made_folder.exists()  # versions at home do not lie about
