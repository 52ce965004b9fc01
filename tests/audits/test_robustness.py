"""Tables of robustness: started by the right people, worked off as a job, shown on pages and by the command."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from audits.judging.bases import BASES
from audits.models import Robustness
from audits.pilots.checked import TrainingError
from audits.pilots.methods import METHODS
from audits.robustness.copies import RobustnessError
from audits.services.robustness import shown
from audits.services.robustness import starting as service
from audits.services.robustness.starting import Wanted
from provenance.intake.labels import Labels
from provenance.marks.errors import SettingsError
from provenance.models import Job, LogEntry
from provenance.services.jobs import queue, worker
from tests.audits.builders_robustness import stored
from tests.audits.builders_trainings import scenes_version

pytestmark = [pytest.mark.suspect, pytest.mark.django_db(transaction=True)]
TINY = {
    "block_size": 2,
    "share": 0.25,
    "encoder": "small_resnet:8:1-1",
    "epochs": 1,
    "side": 16,
    "images": 160,
    "trials": 1,
    "references": 1,
    "attacks": ("int8", "recaption"),
}


def started(world, by=None, **changes) -> Robustness:
    return service.start(world.owner, Wanted(**TINY | changes), by=by or world.auditor)


def worked_off(made: Robustness) -> Robustness:
    worker.run(str(made.job.pk))
    made.refresh_from_db()
    return made


def test_a_table_is_worked_off_and_its_pages_show_it(world, sign_in, no_worker):
    made = worked_off(started(world, seed=4))
    assert made.state == Robustness.State.DONE, Job.objects.get(pk=made.job_id).detail
    assert not made.folder.exists()
    verbs = LogEntry.objects.filter(subject_id=str(made.pk)).values_list("verb", flat=True)
    assert set(verbs) == {"robustness.started", "robustness.finished"}
    page = sign_in(world.rights_holder).get(reverse("robustness_detail", args=[made.pk])).content.decode()
    assert "Weights of 8 bits" in page
    assert "Not measured: this method reads no captions" in page
    assert "before any attack" in page.lower()
    answer = sign_in(world.legal).get(reverse("robustness_json", args=[made.pk])).json()
    assert [line["attack"] for line in answer["table"]["lines"]][:2] == ["none", "weights of 8 bits"]
    assert answer["table"]["rows"][0]["levels"]["features"]["p"] <= 1
    listed = sign_in(world.auditor).get(reverse("robustness_list")).content.decode()
    assert reverse("robustness_detail", args=[made.pk]) in listed


def test_a_version_gives_images_and_the_classes_of_its_task(world, no_worker):
    version = scenes_version(world, 100)
    made = worked_off(started(world, version=version, images=100, attacks=("jpeg-75",)))
    assert made.state == Robustness.State.DONE, Job.objects.get(pk=made.job_id).detail
    table = shown.table_by_now(made)
    assert set(table.lines[0].powers) == {"features", "soft", "hard"}
    assert table.lines[0].accuracy is not None
    assert table.lines[1].images == table.lines[0].images


def test_a_table_by_clip_has_lines_by_captions_recaptioned_or_not(world, sign_in, no_worker):
    made = worked_off(started(world, method="clip", images=80, attacks=("recaption",)))
    assert made.state == Robustness.State.DONE, Job.objects.get(pk=made.job_id).detail
    table = shown.table_by_now(made)
    assert all("features / caption" in line.powers for line in table.lines)
    page = sign_in(world.auditor).get(reverse("robustness_detail", args=[made.pk])).content.decode()
    assert "Features / caption</th>" in page
    assert "Features / omnibus</th>" in page
    assert "how close views come to the image’s own caption" in page
    answer = sign_in(world.auditor).get(reverse("robustness_json", args=[made.pk])).json()
    assert answer["table"]["rows"][1]["levels"]["features / caption"]["auc"] is not None


def test_plain_marks_of_any_family_have_a_table_and_need_no_classes(world, sign_in, no_worker):
    version = scenes_version(world, 100, labels=Labels())
    plain = {"mark": "strong", "family": "blend", "association": "plain", "attacks": ("int8",)}
    made = worked_off(started(world, version=version, images=100, references=0, **plain))
    assert made.state == Robustness.State.DONE, Job.objects.get(pk=made.job_id).detail
    table = shown.table_by_now(made)
    assert all(set(line.powers) == {"features"} for line in table.lines)
    ranks = [1000 * row.levels["features"].p for row in table.rows]
    assert ranks == pytest.approx([round(rank) for rank in ranks])
    page = sign_in(world.auditor).get(reverse("robustness_detail", args=[made.pk])).content.decode()
    assert "blend on 10 % of the images, plain, among 999 decoys" in page
    told = LogEntry.objects.get(verb="robustness.started", subject_id=str(made.pk)).details
    assert told["marks"] == "strong blend, plain"


def test_a_cancelled_table_says_so_keeps_its_rows_and_may_be_taken_up_again(world, sign_in, no_worker, monkeypatch):
    monkeypatch.setattr("provenance.services.jobs.running.PROGRESS_SECONDS", 0.0)
    made = started(world)
    Job.objects.filter(pk=made.job.pk).update(cancel_requested=True)
    assert worked_off(made).state == Robustness.State.CANCELLED
    assert LogEntry.objects.filter(verb="robustness.cancelled", subject_id=str(made.pk)).exists()
    page = sign_in(world.auditor).get(reverse("robustness_detail", args=[made.pk]))
    assert page.status_code == 200
    queue.retry(made.job, by=world.auditor)
    assert worked_off(made).state == Robustness.State.DONE


def test_other_code_makes_no_table_that_was_started_before(world, no_worker):
    made = started(world)
    Robustness.objects.filter(pk=made.pk).update(code_version="0.0 (sources a, computing b)")
    assert worked_off(made).state == Robustness.State.FAILED
    assert "code was changed" in Job.objects.get(pk=made.job_id).reason


def test_every_method_fits_the_number_of_images(world):
    """MoCo's queue may not be longer than what anybody trains on, an evader's few clean images included."""
    for method in METHODS:
        settings = Wanted(**TINY | {"method": method, "mark": "withheld"}).settings
        assert settings.recipe.batch_size <= 160 // 10
        assert getattr(settings.recipe.method, "queue", 0) <= 160 // 10


@pytest.mark.parametrize("who", ["legal", "administrator", "guest_auditor", "outsider"])
def test_only_rights_holders_and_auditors_of_the_house_start(world, who, no_worker):
    with pytest.raises(PermissionDenied):
        started(world, by=getattr(world, who))
    assert not Robustness.objects.exists()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"attacks": ("prayer",)}, RobustnessError, "no attack"),
        ({"attacks": ()}, RobustnessError, "one attack or more"),
        ({"mark": "loud"}, RobustnessError, "no marks"),
        ({"method": "osmosis"}, RobustnessError, "no method"),
        ({"seed": -1}, TrainingError, "seed"),
        ({"images": 10}, TrainingError, "images"),
        ({"share": 0.9}, SettingsError, "share"),
        ({"encoder": "timm:nope"}, TrainingError, "no network “timm:nope”"),
        ({"mark": "strong", "family": "smoke"}, SettingsError, "smoke"),
        ({"mark": "strong", "family": "spectral", "side": 8}, RobustnessError, "need 12 pixels"),
        ({"mark": "strong", "association": "vague"}, SettingsError, "associated"),
        ({"mark": "strong", "association": "plain", "decoys": 998}, RobustnessError, "ask 999 or more"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_queued(world, changes, error, words, no_worker):
    with pytest.raises(error, match=words):
        started(world, **changes)
    assert not Job.objects.exists()


def test_a_version_must_be_of_the_house_and_large_enough(world, no_worker):
    version = scenes_version(world, 100)
    with pytest.raises(RobustnessError, match="100 images"):
        started(world, version=version)
    with pytest.raises(RobustnessError, match="no version of"):
        service.start(world.elsewhere, Wanted(**TINY | {"version": version, "images": 100}), by=world.outsider)


@pytest.mark.parametrize(("method", "words"), [("supervised", "A classifier needs"), ("clip", "CLIP needs")])
def test_a_method_that_the_images_cannot_teach_is_refused(world, method, words, no_worker):
    version = scenes_version(world, 100, labels=Labels())
    with pytest.raises(TrainingError, match=words):
        started(world, version=version, images=100, method=method)


def test_the_form_starts_a_table_and_the_box_beside_it_counts_trainings(world, sign_in, no_worker):
    browser = sign_in(world.rights_holder)
    sent = {**TINY, "organisation": world.owner.pk, "mark": "withheld", "method": "simclr", "attacks": ["merge"]}
    sent |= {"family": "patch", "association": "associated", "decoys": 999}
    cost = browser.get(reverse("robustness_cost"), sent).content.decode()
    assert "Trainings" in cost
    assert "<dd>3</dd>" in cost  # a reference, before, and after
    assert "decoys" not in cost
    wrong = browser.post(reverse("robustness_new"), sent | {"share": 0.5, "block_size": 4})
    assert wrong.status_code == 422
    plain = sent | {"mark": "strong", "association": "plain"}
    cost = browser.get(reverse("robustness_cost"), plain).content.decode()
    assert "600,600" in cost  # images: the key, its decoys and none at all, for two lines and a reference
    few = browser.post(reverse("robustness_new"), plain | {"decoys": 20}).content.decode()
    assert "ask 999 or more" in few
    answer = browser.post(reverse("robustness_new"), sent)
    made = Robustness.objects.get()
    assert answer["Location"] == reverse("robustness_detail", args=[made.pk])
    assert made.settings["attacks"] == [{"name": "merge"}]


def test_the_command_says_what_it_costs_and_makes_a_table(world, capsys, no_worker):
    common = ["--as=adam", "--images=160", "--epochs=1", "--side=16", "--encoder=small_resnet:8:1-1", "--trials=1"]
    common += ["--references=0", "--block-size=2", "--share=0.25", "--attacks", "prune-50", "--json"]
    out = StringIO()
    call_command("robustness", *common, "--cost", stdout=out)
    assert json.loads(out.getvalue())["trainings"] == 1
    assert not Robustness.objects.exists()
    out = StringIO()
    call_command("robustness", *common, "--here", stdout=out, stderr=StringIO())
    answer = json.loads(out.getvalue())
    assert answer["state"] == "done"
    assert [line["attack"] for line in answer["table"]["lines"]] == ["none", "50 % of the weights pruned"]


def test_a_finished_table_shows_what_was_found_and_what_was_lost(world, sign_in):
    made = stored(world)
    page = sign_in(world.auditor).get(reverse("robustness_detail", args=[made.pk])).content.decode()
    assert "2 of 2" in page
    assert "0 of 2" in page
    assert "Found before and after each attack" in page
    assert "caption</th>" not in page


def test_levels_of_an_attack_do_not_hide_each_other_in_the_chart(world):
    table = shown.table_by_now(stored(world))
    lines = [replace(line, powers=dict.fromkeys(BASES, line.powers["features"])) for line in table.lines[:2]]
    figure = shown.chart(replace(table, lines=tuple(lines)))["figure"]
    places = [(trace["x"][0], trace["y"][0]) for trace in figure["data"]]
    assert len(set(places)) == len(BASES)
    assert max(abs(y) for _, y in places) < 0.5  # nor do they reach the next attack
    assert figure["layout"]["yaxis"]["ticktext"] == ["before any attack", "weights of 8 bits"]
    assert figure["data"][0]["text"] == ["before any attack", "weights of 8 bits"]


def test_the_list_says_what_to_do_where_nothing_was_measured(world, sign_in):
    assert "need no data" in sign_in(world.auditor).get(reverse("robustness_list")).content.decode()
    assert "starts it" in sign_in(world.legal).get(reverse("robustness_list")).content.decode()
