"""Which references may serve, and the sentence that says why: by service, page and command."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from audits.models import AuditRow
from audits.services.plans.reference_suggestions import Verdict, suggest_references
from tests.audits.builders_reports import finished_audit, model, release, version

pytestmark = pytest.mark.django_db


def connected(made, size=32, **spec):
    made.connection = {"images_per_second": 100.0, "input_shape": [3, size, size]}
    made.spec |= spec
    made.save()
    return made


def reference(world, name, organisation=None, by=None, **more):
    return connected(model(organisation or world.owner, by or world.auditor, name, "reference"), **more)


@pytest.fixture
def early(world):
    """A reference whose weights were logged before any release was made."""
    return reference(world, "early")


@pytest.fixture
def made(world, early):
    found = release(world, version(world), "Northgate")
    found.key.beacon_at = timezone.now()
    found.key.committed_at = found.key.beacon_at - timedelta(microseconds=1)
    found.key.save()
    return found


@pytest.fixture
def suspect(world):
    return connected(model(world.owner, world.auditor, "suspect-1"))


def suggested(world, suspect, releases, *levels: str, user=None):
    found = suggest_references(suspect, releases, levels or ("features",), user or world.auditor)
    return {one.model.name: one for one in found}


def test_weights_logged_before_the_key_come_first(world, early, made, suspect):
    reference(world, "a late one")
    found = suggested(world, suspect, [made])
    assert list(found) == ["early", "a late one"]
    assert {one.verdict for one in found.values()} == {Verdict.MAY_SERVE}
    assert "cannot have seen it" in found["early"].reasons[0]
    assert "only its declaration" in found["a late one"].reasons[0]
    assert "built like the suspect" in found["early"].reasons[1]


def test_weights_that_are_not_those_of_the_log_prove_nothing(world, early, made, suspect):
    early.sha256 = "0" * 64
    early.save()
    assert "only its declaration" in suggested(world, suspect, [made])["early"].reasons[0]


def test_models_that_cannot_serve_say_why(world, early, made, suspect):
    features_only = reference(world, "features only", returns=["features"])
    untested = model(world.owner, world.auditor, "untested", "reference")
    twin = reference(world, "twin")
    twin.sha256 = suspect.sha256
    twin.save()
    connected(model(world.owner, world.auditor, "suspect-2"))  # no reference, so not in the list
    found = suggested(world, suspect, [made], "features", "soft")
    assert next(iter(found)) == "early"
    assert {name for name, one in found.items() if one.verdict is Verdict.CANNOT} == {
        features_only.name,
        untested.name,
        twin.name,
    }
    assert "does not return soft labels" in found["features only"].reasons[0]
    assert "connection test" in found["untested"].reasons[0]
    assert "same weights as suspect-1" in found["twin"].reasons[0]


def test_references_of_another_organisation_are_not_shown_or_cannot_serve(world, early, made, suspect):
    reference(world, "theirs", world.laboratory, world.guest_auditor)
    assert "theirs" not in suggested(world, suspect, [made])
    theirs = connected(model(world.laboratory, world.guest_auditor, "their suspect"))
    assert list(suggested(world, theirs, [made], user=world.guest_auditor)) == ["theirs"]


def test_a_reference_that_sees_other_sizes_comes_later(world, early, made, suspect):
    reference(world, "large", size=224)
    reference(world, "same size", architecture="timm:resnet34")
    found = suggested(world, suspect, [made])
    assert list(found) == ["early", "same size", "large"]
    assert "sees images of 224 px, the suspect of 32 px" in found["large"].reasons[1]


def test_a_reference_that_reacted_to_this_key_had_better_not_serve(world):
    audit = finished_audit(world)
    plan, row = audit.plan, audit.rows.get()
    for one in plan.references.all():
        connected(one)
    row.result["levels"]["hard"]["tainted"] = ["reference-2"]
    AuditRow.objects.filter(pk=row.pk).update(result=row.result)
    found = suggested(world, plan.suspect, [row.release])
    assert [(name, one.verdict) for name, one in found.items()] == [
        ("reference-1", Verdict.MAY_SERVE),
        ("reference-2", Verdict.BETTER_NOT),
    ]
    assert "reacted itself to the key of Northgate" in found["reference-2"].reasons[0]
    # To another key it has not reacted.
    other = release(world, plan.version, "Southgate")
    assert suggested(world, plan.suspect, [other])["reference-2"].verdict is Verdict.MAY_SERVE


def test_the_form_lists_them_with_their_reasons(world, early, made, suspect, sign_in):
    model(world.owner, world.auditor, "untested", "reference")
    browser = sign_in(world.auditor)
    chosen = {"version": made.version.pk, "releases": [made.pk], "suspect": suspect.pk, "level": "features"}
    page = browser.get(reverse("plan_references"), chosen | {"references": [early.pk]}).content.decode()
    assert "<html" not in page
    assert page.index("early") < page.index("untested")
    assert "cannot have seen it" in page
    assert page.count("checked") == 1
    assert page.count("disabled") == 1  # what cannot serve cannot be chosen
    # Without a suspect there is nothing to say about anybody yet.
    page = browser.get(reverse("plan_references"), {"version": made.version.pk}).content.decode()
    assert "early" in page
    assert "may serve" not in page
    whole = browser.get(reverse("plan_new"), {"suspect": suspect.pk, "release": made.pk}).content.decode()
    assert "may serve" in whole


def test_the_command_suggests_and_drafts_nothing(world, early, made, suspect):
    out = StringIO()
    named = ["--as", "adam", "--dataset", "Meadows", "--suspect", "suspect-1", "--suggest-references"]
    call_command("plan_audit", *named, "--json", stdout=out)
    (told,) = json.loads(out.getvalue())["references"]
    assert (told["name"], told["verdict"]) == ("early", "may serve")
    assert "cannot have seen it" in told["reasons"][0]
    assert not suspect.plans.exists()
    out = StringIO()
    call_command("plan_audit", *named, stdout=out)
    assert "early: may serve. Its weights were logged" in out.getvalue()
