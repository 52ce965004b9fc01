"""Members and roles: by whom, under which guards, and that every change is logged."""

import re

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from provenance.models import LogEntry, Membership, Organisation, Role, User
from provenance.services import people

pytestmark = pytest.mark.django_db


def last_entry(organisation):
    return LogEntry.objects.filter(organisation=organisation).order_by("-seq").first()


def test_a_new_member_can_sign_in_with_the_password_that_is_shown_once(world, sign_in, client):
    url = reverse("member_add", kwargs={"organisation": world.owner.pk})
    answer = sign_in(world.administrator).post(
        url, {"username": "nora", "full_name": "Nora Quist", "roles": ["auditor", "legal"]}
    )
    password = re.search(r'data-copy="([^"]+)"', answer.content.decode())[1]
    assert "no-store" in answer["Cache-Control"]
    assert client.post(reverse("sign_in"), {"username": "nora", "password": password}).status_code == 302
    assert User.objects.get(username="nora").roles_in(world.owner) == {"auditor", "legal"}
    assert last_entry(world.owner).verb == "member.added"
    assert password not in str(LogEntry.objects.values_list())


def test_somebody_with_an_account_keeps_their_password(world):
    added = people.add_member(world.owner, "GITA", [Role.LEGAL], by=world.administrator)
    assert added.user == world.guest_auditor
    assert not added.password
    world.guest_auditor.refresh_from_db()
    assert world.guest_auditor.check_password("gita long password")


def test_a_member_cannot_be_added_twice(world):
    with pytest.raises(people.MemberError, match="already"):
        people.add_member(world.owner, "rosa", [Role.LEGAL], by=world.administrator)


@pytest.mark.parametrize("roles", [[], ["emperor"]])
def test_roles_must_exist(world, roles):
    with pytest.raises(people.MemberError):
        people.add_member(world.owner, "nora", roles, by=world.administrator)
    assert not User.objects.filter(username="nora").exists()


def test_changing_roles_is_logged_with_what_was_before(world):
    people.set_roles(world.owner, world.auditor, [Role.LEGAL], by=world.administrator)
    assert world.auditor.roles_in(world.owner) == {"legal"}
    assert last_entry(world.owner).details == {"roles": ["legal"], "roles_before": ["auditor"]}


def test_the_last_administrator_stays(world, sign_in):
    with pytest.raises(people.MemberError, match="only administrator"):
        people.set_roles(world.owner, world.administrator, [Role.LEGAL], by=world.administrator)
    url = reverse("member_remove", kwargs={"organisation": world.owner.pk, "user": world.administrator.pk})
    answer = sign_in(world.administrator).post(url, follow=True)
    assert "only administrator" in answer.content.decode()
    assert world.administrator.has_role(world.owner, Role.ADMINISTRATOR)


def test_a_removed_member_sees_nothing_any_more(world, sign_in):
    people.remove_member(world.owner, world.legal, by=world.administrator)
    assert not Membership.objects.filter(user=world.legal).exists()
    assert last_entry(world.owner).verb == "member.removed"
    assert sign_in(world.legal).get(reverse("overview")).status_code == 200


@pytest.mark.parametrize("who", ["rights_holder", "auditor", "legal", "outsider"])
def test_only_an_administrator_of_the_organisation_may_change_members(world, who):
    user = getattr(world, who)
    for act in (
        lambda: people.add_member(world.owner, "nora", [Role.LEGAL], by=user),
        lambda: people.set_roles(world.owner, world.auditor, [Role.LEGAL], by=user),
        lambda: people.remove_member(world.owner, world.auditor, by=user),
        lambda: people.reset_password(world.owner, world.auditor, by=user),
        lambda: people.change_contact(world.owner, "elsewhere", by=user),
    ):
        with pytest.raises(PermissionDenied):
            act()


def test_a_new_password_replaces_the_lost_one(world):
    password = people.reset_password(world.owner, world.auditor, by=world.administrator)
    world.auditor.refresh_from_db()
    assert world.auditor.check_password(password)


def test_a_password_is_not_reset_over_the_head_of_another_organisation(world):
    people.add_member(world.owner, "gita", [Role.AUDITOR], by=world.administrator)
    with pytest.raises(PermissionDenied, match="another organisation"):
        people.reset_password(world.owner, world.guest_auditor, by=world.administrator)


def test_whoever_sets_up_an_organisation_administers_it(world, sign_in):
    sign_in(world.administrator).post(reverse("organisation_add"), {"name": "Dogwood Press", "contact": "dp@example"})
    made = Organisation.objects.get(name="Dogwood Press")
    assert world.administrator.has_role(made, Role.ADMINISTRATOR)
    assert list(made.log.values_list("verb", flat=True)) == ["organisation.created", "member.added"]


def test_an_organisations_name_is_taken_once(world, sign_in):
    answer = sign_in(world.administrator).post(reverse("organisation_add"), {"name": world.owner.name})
    assert answer.status_code == 200
    assert Organisation.objects.filter(name=world.owner.name).count() == 1


def test_the_page_lists_only_organisations_that_the_person_administers(world, sign_in):
    page = sign_in(world.administrator).get(reverse("people")).content.decode()
    assert "Aster Archive" in page
    assert "Cedar Company" not in page
