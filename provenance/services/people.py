"""Members and their roles. Every change asks for the administrator's role and stands in the evidence log."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from provenance.errors import TouchmarkError
from provenance.models import Membership, Organisation, Role, User
from provenance.services.access import require
from provenance.services.log import record

PASSWORD_BYTES = 15


class MemberError(TouchmarkError):
    """A change of members that would leave things in disorder; the sentence says what to do instead."""


@dataclass(frozen=True)
class AddedMember:
    """Who was added. `password` is set for a new person only, is shown once and stored nowhere."""

    user: User
    password: str = ""


@transaction.atomic
def add_member(
    organisation: Organisation, username: str, roles: Iterable[str], *, by: User | None, full_name: str = ""
) -> AddedMember:
    """Gives a person roles in the organisation; makes the person where nobody has this user name yet.

    `by` is None only for the shell, where the first administrator of an instance comes from.
    """
    if by is not None:
        require(by, organisation, Role.ADMINISTRATOR)
    wanted = _checked(roles)
    if not wanted:
        raise MemberError("Choose at least one role: without one a member could see nothing.")
    user = User.objects.filter(username__iexact=username).first()
    if user and Membership.objects.filter(user=user, organisation=organisation).exists():
        raise MemberError(f"{user.username} is a member already; change their roles instead.")
    password = ""
    if user is None:
        first, _, last = full_name.strip().partition(" ")
        user = User(username=username, first_name=first, last_name=last)
        password = new_password(user)
        user.full_clean()
        user.save()
    _grant(user, organisation, wanted)
    record("member.added", user, organisation=organisation, by=by, details={"roles": sorted(wanted)})
    return AddedMember(user, password)


@transaction.atomic
def set_roles(organisation: Organisation, user: User, roles: Iterable[str], *, by: User) -> None:
    """Replaces a member's roles. To take all of them away use `remove_member`."""
    require(by, organisation, Role.ADMINISTRATOR)
    before = _member_roles(organisation, user)
    wanted = _checked(roles)
    if not wanted:
        raise MemberError("Choose at least one role, or remove the member.")
    if wanted == before:
        return
    if Role.ADMINISTRATOR not in wanted:
        _keep_an_administrator(organisation, without=user)
    Membership.objects.filter(user=user, organisation=organisation).exclude(role__in=wanted).delete()
    _grant(user, organisation, wanted - before)
    details = {"roles": sorted(wanted), "roles_before": sorted(before)}
    record("member.roles_changed", user, organisation=organisation, by=by, details=details)


@transaction.atomic
def remove_member(organisation: Organisation, user: User, *, by: User) -> None:
    """Takes all roles away. The person's name stays in the log and on what they made."""
    require(by, organisation, Role.ADMINISTRATOR)
    before = _member_roles(organisation, user)
    _keep_an_administrator(organisation, without=user)
    Membership.objects.filter(user=user, organisation=organisation).delete()
    record("member.removed", user, organisation=organisation, by=by, details={"roles_before": sorted(before)})


@transaction.atomic
def reset_password(organisation: Organisation, user: User, *, by: User) -> str:
    """Draws a new password for a member who lost theirs, and returns it once.

    Only where the administrator looks after every organisation of that person: else it would open another's door.
    """
    require(by, organisation, Role.ADMINISTRATOR)
    _member_roles(organisation, user)
    if user.organisations().exclude(pk__in=by.organisations(Role.ADMINISTRATOR).values("pk")).exists():
        raise PermissionDenied(
            f"{user.username} belongs to another organisation too, whose administrator must do this."
        )
    password = new_password(user)
    user.save(update_fields=["password"])
    record("member.password_reset", user, organisation=organisation, by=by)
    return password


@transaction.atomic
def create_organisation(name: str, *, contact: str = "", by: User | None) -> Organisation:
    """A new organisation; whoever makes it is its first administrator. Only administrators may make one."""
    if by is not None and not by.organisations(Role.ADMINISTRATOR).exists():
        raise PermissionDenied("Only an administrator may set up an organisation.")
    organisation = Organisation(name=name, contact=contact)
    try:
        organisation.full_clean()
    except ValidationError as error:
        raise MemberError(" ".join(error.messages)) from error
    organisation.save()
    record("organisation.created", organisation, organisation=organisation, by=by)
    if by is not None:
        _grant(by, organisation, {Role.ADMINISTRATOR})
        details = {"roles": [str(Role.ADMINISTRATOR)]}
        record("member.added", by, organisation=organisation, by=by, details=details)
    return organisation


@transaction.atomic
def change_contact(organisation: Organisation, contact: str, *, by: User) -> None:
    """The contact stands in evidence reports, so a change of it is logged."""
    require(by, organisation, Role.ADMINISTRATOR)
    if contact == organisation.contact:
        return
    organisation.contact = contact
    organisation.save(update_fields=["contact"])
    record("organisation.contact_changed", organisation, organisation=organisation, by=by, details={"contact": contact})


def new_password(user: User) -> str:
    """Draws a password of 120 random bits and sets it on the (unsaved) person."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    validate_password(password, user)
    user.set_password(password)
    return password


def _checked(roles: Iterable[str]) -> set[str]:
    wanted = {str(role) for role in roles}
    if unknown := wanted - set(Role.values):
        raise MemberError(f"There is no role “{', '.join(sorted(unknown))}”; the roles are {', '.join(Role.values)}.")
    return wanted


def _grant(user: User, organisation: Organisation, roles: Iterable[str]) -> None:
    Membership.objects.bulk_create(Membership(user=user, organisation=organisation, role=role) for role in roles)


def _member_roles(organisation: Organisation, user: User) -> set[str]:
    roles = user.roles_in(organisation)
    if not roles:
        raise MemberError(f"{user.username} is not a member of {organisation}.")
    return roles


def _keep_an_administrator(organisation: Organisation, *, without: User) -> None:
    """Two administrators who remove each other at the same moment wait here for one another."""
    Organisation.objects.select_for_update().get(pk=organisation.pk)
    others = Membership.objects.filter(organisation=organisation, role=Role.ADMINISTRATOR).exclude(user=without)
    was_one = without.has_role(organisation, Role.ADMINISTRATOR)
    if was_one and not others.exists():
        raise MemberError(f"{without.username} is the only administrator of {organisation}; name another one first.")
