"""People and organisations, for administrators."""

from functools import partial

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from provenance.errors import TouchmarkError
from provenance.forms.people import ContactForm, MemberForm, OrganisationForm, RolesForm
from provenance.models import Membership, Organisation, Role, User
from provenance.services import people as service
from provenance.services.access import person
from provenance.views.outcome import done_or_refused


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    administered = person(request).organisations(Role.ADMINISTRATOR)
    if not administered.exists():
        raise PermissionDenied("Only an administrator may see who is a member.")
    return render(request, "people/people.html", {"organisations": [_members(each) for each in administered]})


@never_cache
@sensitive_variables("added")
def member_add(request: HttpRequest, organisation: str) -> HttpResponse:
    administered = _administered(request, organisation)
    form = MemberForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            added = service.add_member(
                administered, values["username"], values["roles"], by=person(request), full_name=values["full_name"]
            )
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            if added.password:
                return _show_password(request, administered, added.user, added.password)
            messages.success(request, f"{added.user.display_name} is now a member of {administered}.")
            return redirect("people")
    return render(request, "people/member_add.html", {"organisation": administered, "form": form})


def member_roles(request: HttpRequest, organisation: str, user: int) -> HttpResponse:
    administered, member = _member(request, organisation, user)
    form = RolesForm(request.POST or None, initial={"roles": list(member.roles_in(administered))})
    if request.method == "POST" and form.is_valid():
        try:
            service.set_roles(administered, member, form.cleaned_data["roles"], by=person(request))
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, f"The roles of {member.display_name} are changed.")
            return redirect("people")
    context = {"organisation": administered, "member": member, "form": form}
    return render(request, "people/member_roles.html", context)


@require_POST
def member_remove(request: HttpRequest, organisation: str, user: int) -> HttpResponse:
    administered, member = _member(request, organisation, user)
    done = f"{member.display_name} is no longer a member of {administered}."
    remove = partial(service.remove_member, administered, member, by=person(request))
    return done_or_refused(request, remove, done, "people")


@never_cache
@sensitive_variables("password")
@require_POST
def member_password(request: HttpRequest, organisation: str, user: int) -> HttpResponse:
    administered, member = _member(request, organisation, user)
    password = service.reset_password(administered, member, by=person(request))
    return _show_password(request, administered, member, password)


def organisation_add(request: HttpRequest) -> HttpResponse:
    if not person(request).organisations(Role.ADMINISTRATOR).exists():
        raise PermissionDenied("Only an administrator may set up an organisation.")
    form = OrganisationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        organisation = service.create_organisation(
            form.cleaned_data["name"], contact=form.cleaned_data["contact"], by=person(request)
        )
        messages.success(request, f"{organisation} is set up and you are its administrator. Add its members next.")
        return redirect("people")
    return render(request, "people/organisation_add.html", {"form": form})


def organisation_edit(request: HttpRequest, organisation: str) -> HttpResponse:
    administered = _administered(request, organisation)
    form = ContactForm(request.POST or None, initial={"contact": administered.contact})
    if request.method == "POST" and form.is_valid():
        service.change_contact(administered, form.cleaned_data["contact"], by=person(request))
        messages.success(request, f"The contact of {administered} is changed.")
        return redirect("people")
    return render(request, "people/organisation_edit.html", {"organisation": administered, "form": form})


def _members(organisation: Organisation) -> dict[str, object]:
    own = Prefetch("memberships", Membership.objects.filter(organisation=organisation), to_attr="roles_here")
    users = User.objects.filter(memberships__organisation=organisation).distinct().prefetch_related(own)
    return {"organisation": organisation, "members": users.order_by("first_name", "last_name", "username")}


def _administered(request: HttpRequest, pk: str) -> Organisation:
    """404 for organisations that the person is no member of, 403 where they are but not as an administrator."""
    organisation = get_object_or_404(Organisation.objects.for_user(person(request)), pk=pk)
    if not person(request).has_role(organisation, Role.ADMINISTRATOR):
        raise PermissionDenied(f"Only an administrator of {organisation} may do this.")
    return organisation


def _member(request: HttpRequest, organisation: str, user: int) -> tuple[Organisation, User]:
    administered = _administered(request, organisation)
    return administered, get_object_or_404(
        User.objects.filter(memberships__organisation=administered).distinct(), pk=user
    )


def _show_password(request: HttpRequest, organisation: Organisation, member: User, password: str) -> HttpResponse:
    """Shown in the answer itself, once: a redirect would have to keep the password somewhere."""
    context = {"organisation": organisation, "member": member, "password": password}
    return render(request, "people/password.html", context)
