"""What a report says where pictures come in one of two versions: nothing of images at home, nothing that is false."""

from dataclasses import replace

from audits.report.definitions import definitions
from audits.report.facts import ReportFacts
from audits.report.statements import plan_limitations
from audits.report.view import view_of
from audits.report.wording import setting_rows
from audits.report.words_of_test import words_of
from provenance.marks import MarkSets, VersionsSettings
from tests.audits.report.samples import facts

VERSIONS = VersionsSettings(share=0.5, decibels=36.0)


def of_versions(test: str = "choice") -> ReportFacts:
    """Alone, or beside marks."""
    made = facts()
    settings = {"sets": [made.releases[0].settings, VERSIONS.to_dict()]} if test != "choice" else VERSIONS.to_dict()
    more = {"settings": settings, "blocks": 40, "alternatives": 80, "in_versions": 44, "versions_psnr_mean": 36.2}
    marked = {"marked": 0} if test == "choice" else {}
    releases = tuple(replace(one, **more, **marked) for one in made.releases)
    return replace(made, releases=releases, plan=replace(made.plan, test=test, views=4, membership_score="density"))


def test_words_are_those_of_versions_alone_and_beside_marks():
    for test in ("choice", "permutation"):
        made = of_versions(test)
        words = words_of(made)
        assert "How much better it knows the published version of a picture than the one at home" in words.measured
        assert "which were published" in words.scores
        terms = dict(definitions(made))
        assert "the key chooses the one that is published" in terms["Keyed choice"]
        assert "A version itself is never shown" in terms["View"]
        assert "images that stayed home" not in str(terms)
        said = dict(plan_limitations(made))
        assert "The source of a picture is neither version" in said["Versions that stayed home."]
        assert "Images that stayed home." not in said
    assert "for pictures in one of two versions of choices" in terms["p"]
    assert "sum of the pulls" in words.measured


def test_a_release_says_how_many_pictures_and_how_faint():
    shown = view_of(of_versions())
    rows = dict(shown["releases"][0]["rows"])
    assert rows["In one of two versions"].startswith(
        "40 pictures in 44 files, of each of which the other version stayed"
    )
    assert rows["Two versions (mean PSNR)"] == "36.2 dB to their sources"
    assert "Stayed home" not in rows
    assert shown["release_rows"][0][-1] == "none; 44 come in one of two versions"
    beside = of_versions("permutation")
    marked = f"{beside.releases[0].marked:,} of {beside.releases[0].files:,}"
    assert view_of(beside)["release_rows"][0][-1] == f"{marked}; 44 others come in one of two versions"
    assert ["Views of both versions of every picture", "4 of every version, each showing 0 of it or more"] in shown[
        "plan"
    ]
    assert shown["choice"]["noun"] == "version"


def test_settings_are_told_in_words():
    assert setting_rows(MarkSets((VERSIONS,)).to_dict()) == [
        ["Share of all images that come in one of two versions", "50 %"],
        ["Kind", "two faint versions of a picture, of which one stays home"],
        ["PSNR between a version and its source", "36 dB"],
    ]


def test_facts_of_versions_are_read_as_they_were_written():
    made = of_versions()
    assert ReportFacts.from_json(made.to_json()) == made
    assert b"in_versions" not in facts().to_json()
