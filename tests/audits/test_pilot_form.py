"""What the form and the page of a pilot refuse and say: each with words that tell what to change."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from audits.models import Pilot
from audits.pilots.pilot.settings import PilotError, PilotSettings
from audits.services.models.registering import DECLARATION
from audits.services.pilots import starting
from provenance.intake.labels import Labels
from provenance.models import Blocking
from provenance.whole_files import write_whole
from tests.audits.builders_pilots import TINY, finished
from tests.audits.builders_trainings import scenes_version
from tests.provenance.builders_withheld import blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

IMAGES = 120


@pytest.fixture
def asked(world, no_worker):
    """A version with blocks, and a form that is right."""
    version = scenes_version(world, IMAGES)
    blocking = blocked(world, version)
    numbers = {name: value for name, value in TINY.items() if name not in ("probes", "group_images", "views")}
    form = {"version": version.pk, "family": "patch", "blocking": blocking.pk, "at_home": "17", "methods": ["simclr"]}
    return form | numbers | {"minutes": 5, "alpha": 0.05, "images": IMAGES}


def refused(client, form) -> str:
    answer = client.post(reverse("pilot_new"), form)
    assert answer.status_code == 422
    assert not Pilot.objects.exists()
    return answer.content.decode()


NO_NUMBER, OUT_OF_RANGE = "Shares at home are numbers", "the share that stays home lies above 0"


@pytest.mark.parametrize(
    ("share", "says"),
    [("nan", NO_NUMBER), ("inf", NO_NUMBER), ("-1e400", NO_NUMBER), ("0", OUT_OF_RANGE), ("-5", OUT_OF_RANGE)],
)
def test_what_is_no_share_at_home_is_refused_in_words(world, sign_in, asked, share, says):
    assert says in refused(sign_in(world.rights_holder), {**asked, "at_home": f"17, {share}"})


def test_the_command_refuses_it_too(world, asked, capsys):
    with pytest.raises(SystemExit):
        call_command("run_pilot", str(asked["version"]), username="rosa", at_home=[float("nan")])
    assert NO_NUMBER in capsys.readouterr().err


def test_numbers_out_of_range_are_told_beside_their_field(world, sign_in, asked):
    page = refused(sign_in(world.rights_holder), {**asked, "runs": 41, "alpha": 0.5})
    assert "less than or equal to 40" in page
    assert "less than or equal to 0.2" in page
    assert 'max="40"' in page


def test_a_dataset_that_is_named_and_not_mixed_in_is_not_left_out_silently(world, sign_in, asked):
    other = scenes_version(world, 60, name="Other")
    assert "nothing says that its images are mixed in" in refused(
        sign_in(world.rights_holder), {**asked, "others": other.pk}
    )


@pytest.mark.parametrize("same", ["side:16", "encoder:small_resnet:8:1-1"])
def test_a_variation_that_varies_nothing_is_refused(world, asked, same):
    version = Blocking.objects.get().version
    proposals = starting.withheld_proposals(Blocking.objects.get(), [0.17])
    settings = PilotSettings(**{**TINY, "proposals": proposals, "seed": 0, "variations": (same,)})
    with pytest.raises(PilotError, match="is what is planned"):
        starting.start(version, settings, by=world.rights_holder)


def test_images_on_which_no_model_would_see_the_mark_are_refused(world, asked):
    version = Blocking.objects.get().version
    proposals = starting.struck_proposals(version, "spectral", ["strong"])
    settings = PilotSettings(**{**TINY, "proposals": proposals, "seed": 0, "variations": ("side:8",)})
    with pytest.raises(PilotError, match="needs 12 pixels"):
        starting.start(version, settings, by=world.rights_holder)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"encoder": "timm:nope"}, "no network “timm:nope”"),
        ({"encoder": "small_resnet:999", "feasibility": ["encoder"]}, "no network “small_resnet:1998”"),
    ],
)
def test_a_network_that_nobody_could_build_is_refused_planned_or_varied(world, sign_in, asked, changes, says):
    assert says in refused(sign_in(world.rights_holder), asked | changes)


@pytest.mark.parametrize(("methods", "says"), [(["supervised"], "A classifier needs"), (["clip"], "CLIP needs")])
def test_a_method_that_the_images_cannot_teach_is_refused(world, sign_in, asked, methods, says):
    plain = scenes_version(world, IMAGES, name="Without labels", labels=Labels())
    sent = {**asked, "version": plain.pk, "blocking": "", "strengths": ["strong"], "association": "plain"}
    assert says in refused(sign_in(world.rights_holder), sent | {"methods": methods})


def test_the_page_names_the_dataset_that_was_mixed_in(world, sign_in):
    other = scenes_version(world, 60, name="Other pictures")
    pilot = finished(world, variations=("side:24",))
    pilot.settings = {**pilot.settings, "variations": ["mixed:0.5"], "others": str(other.pk)}
    pilot.found = {**pilot.found, "lines": []}
    pilot.save()
    address = reverse("pilot_detail", args=[pilot.pk])
    assert "Other pictures, version 1" in sign_in(world.rights_holder).get(address).content.decode()


def test_twins_are_offered_only_while_one_is_left(world, sign_in):
    pilot = finished(world)
    address = reverse("pilot_detail", args=[pilot.pk])
    assert DECLARATION not in sign_in(world.auditor).get(address).content.decode()
    write_whole(pilot.twins / "simclr-twin-1.safetensors", lambda path: path.write_bytes(b"weights"))
    assert DECLARATION in sign_in(world.auditor).get(address).content.decode()
    page = sign_in(world.rights_holder).get(address).content.decode()
    assert DECLARATION not in page
    assert f"An auditor of {pilot.organisation} registers them" in page
