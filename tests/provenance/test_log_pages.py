"""The evidence log as people see it: whose it is, filters, and a chain that somebody tampered with."""

import pytest
from django.db import connection
from django.urls import reverse

from provenance.models import LogEntry
from provenance.services.log import record

pytestmark = pytest.mark.django_db


def write(world, count=3):
    for number in range(count):
        record(
            "member.added", world.auditor, organisation=world.owner, by=world.administrator, details={"number": number}
        )


def page(client, **query):
    return client.get(reverse("log_list"), query).content.decode()


def check(client, organisation):
    return client.get(reverse("log_check", kwargs={"organisation": organisation.pk})).content.decode()


def test_members_read_their_own_log_and_nobody_elses(world, sign_in):
    write(world)
    assert "Member added" in page(sign_in(world.legal))
    assert "Member added" not in page(sign_in(world.outsider))


def test_the_newest_entry_stands_first(world, sign_in):
    write(world, 60)
    shown = page(sign_in(world.legal))
    assert shown.index("entry 60") < shown.index("entry 59")
    assert "entry 10<" not in shown
    assert "entry 10<" in page(sign_in(world.legal), page=2)


def test_filters_narrow_the_list(world, sign_in):
    write(world)
    record("organisation.contact_changed", world.owner, organisation=world.owner, by=world.administrator)
    client = sign_in(world.legal)
    assert "Member added" not in page(client, noun="organisation")
    assert "contact changed" in page(client, noun="organisation")
    assert "Nothing fits" in page(client, text="nobody of this name")
    assert "Nothing fits" in page(client, until="2001-01-01")


def test_an_honest_chain_is_intact(world, sign_in):
    write(world)
    assert "intact" in check(sign_in(world.legal), world.owner)


def test_an_altered_row_is_named_on_the_page(world, sign_in):
    write(world)
    row = LogEntry.objects.get(organisation=world.owner, seq=2)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE provenance_logentry SET actor_name = 'Nobody' WHERE id = %s", [row.pk])
    shown = check(sign_in(world.legal), world.owner)
    assert "broken" in shown
    assert "Row 2 (member.added) was altered" in shown


def test_an_entry_shows_what_is_hashed(world, sign_in):
    write(world)
    row = LogEntry.objects.get(organisation=world.owner, seq=2)
    url = reverse("log_entry", kwargs={"organisation": world.owner.pk, "seq": 2})
    shown = sign_in(world.legal).get(url).content.decode()
    assert row.hash in shown
    assert row.previous in shown
