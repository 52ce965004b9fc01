"""Images that cannot carry a mark are counted by reason wherever a release or a strength is shown."""

import json
from html import unescape

import pytest
from django.core.management import call_command
from django.urls import reverse

from provenance.models import LogEntry, Release
from provenance.services import releases
from provenance.services.jobs import worker
from provenance.services.presets import cost_of, order_trials
from provenance.services.release_report import set_reports
from tests.provenance.builders_releases import MARK, MARKS, marked_version

pytestmark = pytest.mark.django_db
REASON = "A lossy WebP is coded anew from its pixels"


def text(response) -> str:
    return " ".join(unescape(response.content.decode()).split())


def made(world, version) -> Release:
    release = releases.make_releases(version, ["Northgate"], MARKS, by=world.rights_holder)[0]
    worker.run(str(release.job_id))
    release.refresh_from_db()
    return release


@pytest.fixture
def release(world):
    """Three images in four are lossy WebP: of 40 in each group 8 are wanted, and 10 can carry the mark."""
    found = made(world, marked_version(world, per_group=10, lossy=30))
    assert found.state == Release.State.READY, found.job.reason
    return found


def test_the_next_draws_step_in_and_the_reasons_are_counted(release):
    (report,) = set_reports(release)
    assert report.wanted == 32
    assert 8 <= report.marked <= 32  # half of what is not wanted stays for probes, so some groups run out
    ((reason, count),) = report.passed_over
    assert reason.startswith(REASON)
    assert count == report.replaced + report.unfilled > 32
    unmarked = (release.folder / "unmarked.jsonl").read_text().splitlines()
    assert {json.loads(line)["reason"] for line in unmarked} == {reason}
    assert len(unmarked) == count


def test_page_log_and_facts_say_it(world, sign_in, release):
    (report,) = set_reports(release)
    ((reason, count),) = report.passed_over
    entry = LogEntry.objects.get(verb="release.embedded")
    assert entry.details["passed over"] == release.facts["passed_over"] == {reason: count}
    assert entry.details["missing"] == report.unfilled
    for person in (world.rights_holder, world.auditor):
        page = text(sign_in(person).get(reverse("release_detail", args=[release.pk])))
        assert f'{reason}</th><td class="num">{count}</td>' in page
        assert ".webp" not in page
    address = reverse("log_entry", args=[entry.organisation_id, entry.seq])
    assert REASON in text(sign_in(world.rights_holder).get(address))


def test_the_command_says_it(world, capsys):
    version = marked_version(world, per_group=10, lossy=30)
    options = ("--as", "rosa", "--recipient", "North", "--share", "0.2", "--here", "--json")
    call_command("make_release", str(version.pk), *options)
    (said,) = json.loads(capsys.readouterr().out.splitlines()[-1])["releases"]
    assert said["marked"] + said["missing"] == 32
    ((reason, count),) = said["passed_over"].items()
    assert reason.startswith(REASON)
    assert count > 32


def test_a_group_without_any_image_that_can_carry_it_ends_with_the_commonest_reason(world):
    release = made(world, marked_version(world, per_group=0, lossy=20))
    assert release.state == Release.State.FAILED
    assert "No image of the group ant, bee, cow, dog could be marked" in release.job.reason
    assert REASON in release.job.reason


def test_a_trial_says_how_many_can_carry_a_strength_and_why_others_cannot(world, sign_in, capsys):
    version = marked_version(world, per_group=3, lossy=3)
    worker.run(str(order_trials(version, [MARK], by=world.rights_holder).pk))
    trial = cost_of(version, MARK).trial
    assert (trial.tried, trial.marked, trial.share) == (24, 12, 0.5)
    assert list(trial.passed_over.values()) == [12]

    call_command("list_presets", str(version.pk), "--as", "rosa", "--here", "--json")
    for row in json.loads(capsys.readouterr().out.splitlines()[-1])["presets"]:
        assert (row["can_carry"], row["tried"], row["measured_on"]) == (0.5, 24, 12)
        assert [reason.startswith(REASON) for reason in row["passed_over"]] == [True]
    said = {"set-1-preset": "balanced", "set-1-group_by": "class", "version": str(version.pk), "set": "1"}
    client = sign_in(world.rights_holder)
    page = text(client.post(reverse("release_presets"), said))
    assert page.count("50 % (12 of 24)</td>") == 3
    assert "12 of 24 images of this version could be marked like this. Others would take the place" in page
    assert f"12: {REASON}" in page
    assert "groups will end up with fewer marks" in text(
        client.post(reverse("release_presets"), {**said, "set-1-share": "60"})
    )
