"""Pilots as people meet them: started by the right ones, resumed, told on pages, by the command and on forms."""

import json
from dataclasses import replace

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.urls import reverse

from audits.models import Pilot, RegisteredModel
from audits.pilots.pilot.settings import PilotError, PilotSettings
from audits.services.pilots import starting, twins
from audits.services.pilots.forecasts import NO_PILOT, forecast
from audits.services.pilots.shown import release_address
from provenance.errors import TouchmarkError
from provenance.forms.releases import ReleaseForm
from provenance.marks import MarkSettings
from provenance.models import Job, LogEntry
from provenance.services.jobs import queue, worker
from provenance.whole_files import write_whole
from tests.audits.builders_pilots import IMAGES, TINY, finished, in_clusters, wanted
from tests.audits.builders_trainings import scenes_version
from tests.provenance.builders_withheld import blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def worked_off(pilot):
    worker.run(str(pilot.job.pk))
    pilot.refresh_from_db()
    return pilot


@pytest.mark.suspect
def test_a_pilot_ends_with_numbers_in_its_row_and_in_the_log(world):
    version = scenes_version(world, IMAGES)
    pilot = starting.start(version, wanted(version), by=world.rights_holder)
    pilot.refresh_from_db()
    assert pilot.state == Pilot.State.DONE, pilot.job.reason
    assert set(pilot.curves) == {"simclr-twin-1", "simclr-proposal-1-1"}
    assert not pilot.folder.exists()
    entries = LogEntry.objects.filter(subject_id=str(pilot.pk))
    assert set(entries.values_list("verb", flat=True)) == {"pilot.started", "pilot.finished"}
    _check_twins(world, pilot)


def _check_twins(world, pilot):
    """Its weights were kept, and it becomes a reference that can be asked, once."""
    (twin,) = twins.twins_of(pilot)
    assert (twin.name, twin.may_register) == ("simclr-twin-1", True)
    with pytest.raises(PilotError, match="declaration"):
        twins.start(pilot, [twin.name], declared=False, by=world.auditor)
    job = twins.start(pilot, [twin.name], declared=True, by=world.auditor)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    (known,) = twins.twins_of(pilot)
    model = RegisteredModel.objects.get(pk=known.model.pk)
    assert (model.role, model.state, model.declared_by) == ("reference", "ready", world.auditor)
    assert model.connection["levels"] == ["features"]
    assert f"{pilot.found['images']} of {IMAGES} images of {pilot.version}, unmarked" in model.origin
    assert pilot.version.root in model.origin
    assert pilot.found["learnt_from"] in model.origin
    with pytest.raises(PilotError, match="registered already"):
        twins.start(pilot, [twin.name], declared=True, by=world.auditor)
    assert twins.register(pilot, twin.name, by=world.auditor, on_block=lambda done, total: None) == model


def test_the_page_offers_twins_to_auditors_and_says_where_none_were_kept(world, sign_in, no_worker):
    pilot = finished(world)
    client, address = sign_in(world.auditor), reverse("pilot_detail", args=[pilot.pk])
    assert client.get(address).content.decode().count("its weights were not kept") == 2
    names = ["simclr-twin-1", "simclr-twin-2"]
    for name in names:
        write_whole(pilot.twins / f"{name}.safetensors", lambda path: path.write_bytes(b"weights"))
    page = client.get(address).content.decode()
    assert page.count('name="twin"') == 2
    assert "make an innocent model look guilty" in page
    assert 'name="twin"' not in sign_in(world.rights_holder).get(address).content.decode()
    place = reverse("pilot_twins", args=[pilot.pk])
    refused = client.post(place, {"twin": names[:1]})
    assert refused.status_code == 422
    page = refused.content.decode()
    assert "needs the declaration" in page
    assert [f'id="{name}" checked' in page for name in names] == [True, False]  # nobody ticks them again
    assert 'id="declared" required>' in page
    undecided = client.post(place, {"declared": "on"}).content.decode()
    assert "Choose the twins" in undecided
    assert 'id="declared" required checked>' in undecided
    assert not Job.objects.filter(kind="pilot.register_twins").exists()
    assert sign_in(world.rights_holder).post(place, {"twin": names, "declared": "on"}).status_code == 403
    client.post(place, {"twin": names[1:], "declared": "on"})
    assert Job.objects.get(kind="pilot.register_twins").params["twins"] == names[1:]
    with pytest.raises(PilotError, match="no unmarked twin"):
        twins.start(pilot, ["simclr-proposal-1-1"], declared=True, by=world.auditor)


@pytest.mark.suspect
def test_a_cancelled_pilot_says_so_and_goes_on_where_it_was(world, no_worker, monkeypatch):
    monkeypatch.setattr("provenance.services.jobs.running.PROGRESS_SECONDS", 0.0)
    version = scenes_version(world, IMAGES)
    pilot = starting.start(version, wanted(version), by=world.auditor)
    Job.objects.filter(pk=pilot.job.pk).update(cancel_requested=True)
    assert worked_off(pilot).state == Pilot.State.CANCELLED
    queue.retry(pilot.job, by=world.auditor)
    assert worked_off(pilot).state == Pilot.State.DONE


def test_code_that_changed_in_between_is_refused(world, no_worker):
    version = scenes_version(world, IMAGES)
    pilot = starting.start(version, wanted(version), by=world.auditor)
    Pilot.objects.filter(pk=pilot.pk).update(code_version="0.0.1 (sources 000000000000)")
    assert worked_off(pilot).state == Pilot.State.FAILED
    assert "code was changed" in Job.objects.get(pk=pilot.job.pk).reason


def test_every_pilot_draws_its_own_seed(world, no_worker):
    version = scenes_version(world, IMAGES)
    seeds = {starting.start(version, wanted(version), by=world.auditor).settings["seed"] for _ in range(3)}
    assert len(seeds) == 3


@pytest.mark.parametrize("who", ["legal", "administrator", "guest_auditor", "outsider"])
def test_only_rights_holders_and_auditors_of_the_owner_make_pilots(world, who):
    version = scenes_version(world, IMAGES)
    with pytest.raises(PermissionDenied):
        starting.start(version, wanted(version), by=getattr(world, who))
    assert not Pilot.objects.exists()


def test_too_few_images_and_blocks_of_nothing_are_refused(world, no_worker):
    small = scenes_version(world, 39)
    with pytest.raises(PilotError, match="40 images"):
        starting.check(small, wanted(small))
    version, other = scenes_version(world, IMAGES, name="Blocked"), scenes_version(world, IMAGES, name="Other")
    settings = replace(wanted(version), proposals=starting.withheld_proposals(blocked(world, version), [0.17]))
    starting.check(version, settings)
    with pytest.raises(TouchmarkError, match="another version"):
        starting.check(other, settings)


def test_the_page_of_a_finished_pilot_says_what_was_found_lost_and_asked(world, sign_in):
    pilot = finished(world)
    page = sign_in(world.rights_holder).get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    assert "“5 % at home” was found most often: in 3 of 3 audits" in page
    assert "0 of 3 (0 % to 70.8 %)" in page
    assert "no pixel changed" in page
    assert "SimCLR, 5 % at home, key 2" in page
    assert "Use “Strong patch” for a release" in page
    assert page.count("simclr-proposal-2-1/") == 1


def test_a_pilot_by_captions_tells_them_on_page_chart_json_and_forms(world, sign_in):
    pilot, client = finished(world, captions=True), sign_in(world.rights_holder)
    page = client.get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    assert "from their features / caption, median p" in page
    assert "Found by features / caption" in page
    assert "Found by features / omnibus" in page
    assert "how close views come to the image’s own caption" in page
    assert "5 % at home, CLIP, features / caption" in page  # how it grows
    chosen = client.get(reverse("pilot_detail", args=[pilot.pk]), {"level": "features / caption"}).content.decode()
    assert "judged by features / caption" in chosen
    unknown = client.get(reverse("pilot_detail", args=[pilot.pk]), {"level": "nonsense"}).content.decode()
    assert "judged by features:" in unknown
    told = client.get(reverse("pilot_json", args=[pilot.pk])).json()
    assert told["summary"][1]["power"]["features / caption"]["found"] == 3
    assert told["summary"][1]["aucs"]["features / caption"]["60"] == 0.83
    line = client.get(reverse("pilot_line", args=[pilot.pk, "clip-proposal-2-1"])).content.decode()
    assert "features / omnibus" in line
    settings = PilotSettings.from_json(pilot.settings).proposals[1].settings
    told = " ".join(forecast(pilot.version, settings))
    assert "features / caption: “5 % at home” was found in 3 of 3" in told


def test_a_pilot_without_captions_has_no_columns_by_them(world, sign_in):
    page = sign_in(world.rights_holder).get(reverse("pilot_detail", args=[finished(world).pk])).content.decode()
    assert "caption</th>" not in page
    assert "omnibus" not in page


@pytest.mark.suspect
def test_a_pilot_by_clip_asks_about_the_captions_of_its_version(world):
    version = scenes_version(world, IMAGES)
    proposals = starting.withheld_proposals(blocked(world, version), [0.17])
    pilot = starting.start(version, wanted(version, proposals=proposals, methods=("clip",)), by=world.rights_holder)
    pilot.refresh_from_db()
    assert pilot.state == Pilot.State.DONE, pilot.job.reason
    assert {"features / caption", "features / omnibus"} <= set(pilot.found["lines"][1]["levels"])


def test_the_page_says_whether_it_holds_elsewhere(world, sign_in):
    pilot, client = finished(world, variations=("side:24", "task:merged")), sign_in(world.rights_holder)
    page = client.get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    assert "Adaptability: does this dataset take it?" in page
    assert "images of 24 pixels" in page
    assert "classes merged into two halves" in page
    assert "SimCLR, 5 % at home, key 2, images of 24 pixels" in page
    told = client.get(reverse("pilot_json", args=[pilot.pk])).json()["feasibility"]
    assert [(row["failure"], row["varied"]) for row in told[:3]] == [
        ("adaptability", "as planned"),
        ("success", "as planned"),
        ("portability", "images of 24 pixels"),
    ]
    assert told[2]["power"]["features"]["audits"] == 3
    plain = finished(world, pilot.version)
    page = client.get(reverse("pilot_detail", args=[plain.pk])).content.decode()
    assert "Does it hold elsewhere?" not in page


@pytest.mark.suspect
def test_images_of_another_dataset_are_mixed_in(world):
    version, other = scenes_version(world, IMAGES), scenes_version(world, 60, name="Other")
    changes = {"variations": ("mixed:0.1",), "others": str(other.pk)}
    pilot = starting.start(version, wanted(version, **changes), by=world.rights_holder)
    pilot.refresh_from_db()
    assert pilot.state == Pilot.State.DONE, pilot.job.reason
    planned, mixed = (pilot.found["lines"][place]["images"] for place in (1, 2))
    assert mixed == planned + round(planned / 9)


def test_what_is_mixed_in_is_another_dataset_with_images_enough(world, no_worker):
    version = scenes_version(world, IMAGES)
    other = scenes_version(world, 60, name="Other")
    own = wanted(version, variations=("mixed:0.1",), others=str(version.pk))
    many = wanted(version, variations=("mixed:0.9",), others=str(other.pk))
    for settings, says in ((own, "another dataset"), (many, "takes 864")):
        with pytest.raises(PilotError, match=says):
            starting.start(version, settings, by=world.rights_holder)
    assert not Pilot.objects.exists()


def test_a_single_training_has_a_page_and_one_that_is_none_has_not(world, sign_in):
    pilot, client = finished(world), sign_in(world.legal)
    page = client.get(reverse("pilot_line", args=[pilot.pk, "simclr-proposal-1-2"])).content.decode()
    assert "SimCLR, Strong patch, key 2" in page
    assert "19.0 dB, lowest 15.0 dB" in page
    assert client.get(reverse("pilot_line", args=[pilot.pk, "simclr-proposal-9-1"])).status_code == 404


def test_the_list_is_empty_then_paged(world, sign_in, monkeypatch):
    client = sign_in(world.rights_holder)
    assert "No pilot has been made yet" in client.get(reverse("pilot_list")).content.decode()
    monkeypatch.setattr("audits.views.pilots.PAGE_SIZE", 1)
    version = scenes_version(world, 40)
    finished(world, version), finished(world, version)
    page = client.get(reverse("pilot_list")).content.decode()
    assert page.count("Strong patch, 5 % at home") == 1
    assert "page=2" in page


def test_the_form_starts_a_pilot_and_says_what_is_missing(world, sign_in, no_worker):
    version, client = scenes_version(world, IMAGES), sign_in(world.auditor)
    form = {
        "version": version.pk, "family": "patch", "strengths": ["balanced", "strong"], "at_home": "5",
        "methods": ["simclr"], "minutes": 5, "alpha": 0.05,
        **{name: value for name, value in TINY.items() if name not in ("probes", "group_images", "views")},
        "images": IMAGES,
    }  # fmt: skip
    refused = client.post(reverse("pilot_new"), {**form, "strengths": []})
    assert refused.status_code == 422
    assert "1 to 8 settings" in refused.content.decode()
    assert client.post(reverse("pilot_new"), {**form, "at_home": "a few"}).status_code == 422
    assert client.post(reverse("pilot_new"), form).status_code == 302
    settings = Pilot.objects.get().settings
    assert [one["title"] for one in settings["proposals"]] == ["Balanced colour blocks", "Strong colour blocks"]
    assert settings["variations"] == []
    refused = client.post(reverse("pilot_new"), {**form, "association": "plain", "alpha": 0.001})
    assert "ask 999 or more" in refused.content.decode()
    assert client.post(reverse("pilot_new"), {**form, "association": "plain"}).status_code == 302
    tried = Pilot.objects.latest("created_at").settings["proposals"]
    assert [one["title"] for one in tried] == ["Balanced colour blocks, plain", "Strong colour blocks, plain"]
    assert client.post(reverse("pilot_new"), {**form, "feasibility": ["mixed"]}).status_code == 422
    elsewhere = {**form, "feasibility": ["method", "encoder", "side", "task"]}
    assert client.post(reverse("pilot_new"), elsewhere).status_code == 302
    assert Pilot.objects.latest("created_at").settings["variations"] == [
        *("method:byol", "encoder:small_resnet:16:1-1", "side:12", "task:merged", "task:brightness")
    ]


@pytest.mark.suspect
def test_the_command_makes_a_pilot_and_answers_in_json(world, capsys):
    version = scenes_version(world, IMAGES)
    blocked(world, version)
    options = {name: value for name, value in TINY.items() if name != "device"}
    options["vary"] = ["task:brightness"]
    call_command("run_pilot", str(version.pk), username="rosa", json=True, here=True, at_home=[17.0], **options)
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "done"
    assert told["summary"][0]["title"] == "17 % at home"
    assert told["summary"][0]["power"]["features"]["audits"] == 1
    assert told["found"]["missing"] == []
    assert told["advice"]
    assert told["feasibility"][-1]["failure"] == "assumptions"
    call_command("register_twins", told["pilot"], username="adam", json=True, here=True, declare=True)
    registered = json.loads(capsys.readouterr().out)["references"]
    assert list(registered) == ["simclr-twin-1"]
    with pytest.raises(SystemExit):
        call_command("register_twins", told["pilot"], username="adam", here=True, declare=True)
    assert "unmarked twin 1 is registered already" in capsys.readouterr().err


def test_use_these_settings_fills_the_form_of_a_release(world):
    version = scenes_version(world, IMAGES)
    row = blocked(world, version)
    struck = starting.struck_proposals(version, "blend", ["discreet"])[0]
    at_home = starting.withheld_proposals(row, [0.17])[0]
    plain = starting.struck_proposals(version, "blend", ["strong"], association="plain")[0]
    clustered = starting.struck_proposals(version, "blend", ["strong"], clusters=in_clusters(world, version))[0]
    pilot = finished(world, version)
    for proposal in (struck, plain, clustered, at_home):
        address = release_address(pilot, proposal, world.rights_holder)
        form = filled(address, world)
        assert form.is_valid(), form.errors
        (settings,) = form.cleaned_data["marks"].sets
        if isinstance(settings, MarkSettings):
            settings = settings.replace(near_duplicates="", copies="", spares="")
        assert settings == proposal.settings
    assert release_address(pilot, struck, world.auditor) == ""


def filled(address, world):
    """The release form as it is shown at this address, sent off."""
    from django.http import QueryDict

    shown = ReleaseForm.kept(QueryDict(address.partition("?")[2]), world.rights_holder)
    sent = {f"{one.prefix}-{name}": one[name].value() for one in (shown.home, *shown.sets) for name in one.fields}
    sent = {name: value for name, value in sent.items() if value is not None}
    sent |= {"version": shown["version"].value(), "recipients": "North", "near_duplicates": "mark", "set_count": "1"}
    return ReleaseForm(sent | {"home-outlets": "kept"}, user=world.rights_holder)


def test_a_forecast_is_that_of_the_newest_pilot_with_the_same_settings(world):
    pilot = finished(world)
    settings = PilotSettings.from_json(pilot.settings)
    told = forecast(pilot.version, settings.proposals[0].settings.replace(spares="many", copies="alike"))
    assert "“Strong patch” was found in 0 of 3 audits at alpha 0.001" in told[0]
    assert forecast(pilot.version, settings.proposals[0].settings.replace(share=0.37)) == [NO_PILOT]
