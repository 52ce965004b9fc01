"""A pilot's page leads on to tables of robustness: those on the same images, and a form that its settings fill."""

import html
import re

import pytest
from django.urls import reverse

from audits.models import Pilot, Robustness
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.robustness.settings import RobustnessSettings
from audits.services.robustness.of_pilots import beginnings
from provenance.marks import PRESETS
from tests.audits.builders_pilots import finished
from tests.audits.builders_robustness import stored
from tests.audits.builders_trainings import scenes_version

pytestmark = pytest.mark.django_db(transaction=True)
INPUT = re.compile(r"<input[^>]*>")
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture
def pilot(world) -> Pilot:
    return finished(world, scenes_version(world, 120))


def filled(page: str) -> dict[str, str]:
    """Values that the form on a page shows, by name."""
    inputs = [dict(ATTRIBUTE.findall(one)) for one in INPUT.findall(page)]
    found = {one["name"]: html.unescape(one.get("value", "")) for one in inputs if one.get("type") != "checkbox"}
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        found[name] = chosen[1] if chosen else ""
    return found


def trying(pilot: Pilot, *proposals: Proposal) -> Pilot:
    pilot.settings |= {"proposals": [one.to_json() for one in proposals]}
    pilot.save()
    return pilot


def test_what_a_pilot_tried_fills_the_form_of_a_table(world, sign_in, pilot, no_worker):
    browser = sign_in(world.rights_holder)
    page = browser.get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    marks = PRESETS["discreet"].settings((), family="blend", association="plain")
    trying(pilot, *PilotSettings.from_json(pilot.settings).proposals, Proposal("Faint", marks))
    assert "Measure robustness of “Strong patch”" in page
    for number, (_title, address) in enumerate(beginnings(pilot, world.rights_holder)):
        sent = filled(browser.get(address).content.decode()) | {"attacks": ["int8"], "seed": "7"}
        answer = browser.post(reverse("robustness_new"), sent)
        assert answer.status_code == 302, answer.content.decode()
        settings = RobustnessSettings.from_json(Robustness.objects.first().settings)
        tried = PilotSettings.from_json(pilot.settings)
        mark = tried.proposals[number].settings
        if tried.proposals[number].withheld:
            assert (settings.mark.block_size, settings.mark.share) == (mark.block_size, mark.share)
        else:
            assert settings.mark == mark
        assert (settings.images, settings.trials, settings.references) == (120, tried.runs, tried.references)
        assert (settings.recipe.encoder, settings.recipe.side) == (tried.encoder, tried.side)
        assert (settings.recipe.method.name, settings.recipe.epochs) == (tried.methods[0], tried.epochs)
    assert Robustness.objects.count() == 3


def test_marks_that_are_no_preset_and_people_who_may_start_none_get_no_form(world, sign_in, pilot):
    groups = tuple(sorted(pilot.version.facts["labels"]))
    own = PRESETS["strong"].settings(groups, share=0.07)
    words = PRESETS["strong"].settings(("kite", "balloon", "boat", "tree"), group_by="word")
    trying(pilot, Proposal("Own", own), Proposal("Words", words))
    assert beginnings(pilot, world.rights_holder) == []
    trying(pilot, Proposal("Strong", PRESETS["strong"].settings(groups)), Proposal("Own", own))
    assert len(beginnings(pilot, world.auditor)) == 1
    assert beginnings(pilot, world.legal) == []
    assert (
        "Measure robustness" not in sign_in(world.legal).get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    )


def test_the_page_names_tables_on_the_same_images_that_are_done(world, sign_in, pilot):
    made, other = stored(world), stored(world)
    Robustness.objects.filter(pk=made.pk).update(version=pilot.version)
    page = sign_in(world.legal).get(reverse("pilot_detail", args=[pilot.pk])).content.decode()
    assert reverse("robustness_detail", args=[made.pk]) in page
    assert reverse("robustness_detail", args=[other.pk]) not in page
    assert "2 attacks, 2 trials" in page


def test_a_link_with_nonsense_shows_an_empty_form(world, sign_in):
    address = f"{reverse('robustness_new')}?version=abc&images=many&organisation=x&attacks=prayer&mark=loud"
    assert sign_in(world.auditor).get(address).status_code == 200
