"""Pilots of plain marks, which have no groups, and of clusters: by the command, and what is refused."""

import json
from dataclasses import replace

import pytest
from django.core.management import call_command
from django.urls import reverse

from audits.models import Pilot
from audits.pilots.checked import TrainingError
from audits.pilots.pilot.settings import PilotError, PilotSettings
from audits.services.pilots import shown, starting
from provenance.services import clusters
from tests.audits.builders_clusterings import colours_version
from tests.audits.builders_pilots import IMAGES, TINY, in_clusters, wanted
from tests.audits.builders_trainings import scenes_version

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.mark.suspect
def test_the_command_tries_plain_marks_with_so_many_decoys(world, capsys):
    version = scenes_version(world, IMAGES)
    options = {name: value for name, value in TINY.items() if name != "device"} | {"alpha": 0.01}
    kind = {"strengths": ["strong"], "association": "plain", "at_home": []}
    call_command("run_pilot", str(version.pk), username="rosa", json=True, here=True, **options, **kind)
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "done"
    assert told["summary"][0]["title"] == "Strong colour blocks, plain"
    p = told["found"]["lines"][1]["levels"]["features"]["p"]
    assert 100 * p == pytest.approx(round(100 * p))
    facts = dict(shown.facts(PilotSettings.from_json(told["settings"]), world.rights_holder))
    assert facts["Decoys of every plain mark"] == "99"


@pytest.mark.suspect
def test_the_command_tries_clusters_of_images_without_labels(world, capsys):
    version = colours_version(world, 20)
    kept = in_clusters(world, version)
    options = {name: value for name, value in TINY.items() if name != "device"} | {"alpha": 0.05}
    kind = {"strengths": ["strong"], "clusters": kept.digest[:8], "at_home": []}
    call_command("run_pilot", str(version.pk), username="rosa", json=True, here=True, **options, **kind)
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "done"
    assert told["summary"][0]["title"] == "Strong colour blocks, clusters"
    assert told["summary"][0]["power"]["features"]["audits"] == 1
    assert told["settings"]["proposals"][0]["settings"]["clusters"] == kept.digest


def test_clusters_of_another_version_and_unknown_ones_are_refused(world, sign_in, no_worker):
    version, other = scenes_version(world, IMAGES), colours_version(world, 24)
    kept = in_clusters(world, other)
    form = {"version": version.pk, "family": "patch", "strengths": ["strong"], "methods": ["simclr"], "minutes": 5}
    form |= {"alpha": 0.05, "images": IMAGES, **TINY, "clusters": kept.pk}
    answer = sign_in(world.auditor).post(reverse("pilot_new"), form)
    assert "clusters of this one" in answer.content.decode()
    own = in_clusters(world, version)
    assert sign_in(world.auditor).post(reverse("pilot_new"), form | {"clusters": own.pk}).status_code == 302
    (tried,) = PilotSettings.from_json(Pilot.objects.get().settings).proposals
    assert (tried.struck.group_by, tried.struck.clusters) == ("cluster", own.digest)
    (foreign,) = starting.struck_proposals(version, "patch", ["strong"], clusters=kept)
    with pytest.raises(clusters.UnknownClustersError):
        starting.start(version, wanted(version, proposals=(foreign,)), by=world.rights_holder)


def test_images_without_labels_may_be_tried_with_plain_marks_alone(world, no_worker):
    version = scenes_version(world, IMAGES)
    version.facts = version.facts | {"labels": {}}
    with pytest.raises(PilotError, match="try clusters, plain marks"):
        starting.struck_proposals(version, "patch", ["strong"])
    proposals = starting.struck_proposals(version, "patch", ["strong"], association="plain")
    settings = PilotSettings(**{**TINY, "proposals": proposals, "seed": 0, "alpha": 0.01})
    pilot = starting.start(version, settings, by=world.rights_holder)
    assert Pilot.objects.get().pk == pilot.pk


def test_groups_too_few_for_alpha_are_refused_before_anything_is_queued(world, no_worker):
    version = scenes_version(world, IMAGES)
    proposals = starting.struck_proposals(version, "patch", ["strong"], clusters=in_clusters(world, version))
    settings = wanted(version, proposals=proposals, alpha=0.001)
    with pytest.raises(TrainingError, match=r"With 4 groups no p .* below 0.042"):
        starting.start(version, settings, by=world.rights_holder)
    assert not Pilot.objects.exists()
    starting.start(version, replace(settings, alpha=0.05), by=world.rights_holder)
