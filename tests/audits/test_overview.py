"""The overview: each role sees its own next step, and only its own organisation's work."""

import pytest
from django.urls import reverse

from audits.services.overview import journey
from provenance.models import Dataset, Job, Version
from provenance.services import people

pytestmark = pytest.mark.django_db


def next_step(user) -> str:
    return next((step.title for step in journey(user) if step.state == "next"), "")


def register(world, state="ready"):
    dataset = Dataset.objects.create(organisation=world.owner, name="Meadows", created_by=world.rights_holder)
    return Version.objects.create(
        dataset=dataset, number=1, state=state, source="upload", source_name="m.zip", created_by=world.rights_holder
    )


def page(client) -> str:
    return client.get(reverse("overview")).content.decode()


def test_every_role_starts_with_its_own_step(world):
    assert next_step(world.rights_holder) == "Register a dataset"
    assert next_step(world.auditor) == "Register a suspect"
    assert next_step(world.legal) == "Issue the report"
    assert next_step(world.outsider) == "Register a dataset"


def test_a_ready_version_moves_the_rights_holder_on_to_the_key(world):
    version = register(world, state="reading")
    assert next_step(world.rights_holder) == "Register a dataset"
    version.state = "ready"
    version.save()
    assert next_step(world.rights_holder) == "Draw a key and commit"
    assert next_step(world.outsider) == "Register a dataset"


def test_an_administrator_is_told_which_roles_nobody_holds(world, sign_in):
    people.remove_member(world.owner, world.legal, by=world.administrator)
    assert next_step(world.administrator) == "Give every role to somebody"
    assert "Nobody is legal yet." in page(sign_in(world.administrator))


def test_running_jobs_are_shown_to_the_organisation_only(world, sign_in):
    Job.objects.create(
        kind="dataset.manifest",
        queue="cpu",
        organisation=world.owner,
        subject_type="version",
        subject_id="1",
        subject_label="Meadows",
        state="running",
        phase="reading files",
        attempt=1,
    )
    assert "reading files" in page(sign_in(world.legal))
    assert "reading files" not in page(sign_in(world.outsider))


def test_a_person_without_a_role_is_told_whom_to_ask(world, sign_in):
    people.remove_member(world.owner, world.legal, by=world.administrator)
    assert "Ask an administrator" in page(sign_in(world.legal))
