"""Who may do what. Services ask here before they change anything; pages use `get_visible` before they show anything."""

from collections.abc import Sequence
from typing import TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import Http404, HttpRequest

from provenance.models import Dataset, Organisation, Role, User

M = TypeVar("M", bound=Model)


def require(user: User, organisation: Organisation, *roles: Role) -> None:
    """Raises PermissionDenied unless the person holds one of `roles` in the organisation."""
    if not user.has_role(organisation, *roles):
        wanted = " or ".join(role.label for role in roles)
        raise PermissionDenied(f"In {organisation} this is for the role {wanted}.")


def get_visible(model: type[M], user: User, pk: object) -> M:
    """The row, or Http404 where it does not exist or the person may not see it: both look the same from outside."""
    try:
        return model._default_manager.for_user(user).get(pk=pk)  # type: ignore[attr-defined]
    except (model.DoesNotExist, ValidationError, ValueError) as error:  # type: ignore[attr-defined]
        raise Http404(f"No such {model._meta.verbose_name}.") from error


def person(request: HttpRequest) -> User:
    """The signed-in person of a request (LoginRequiredMiddleware lets nobody else through)."""
    assert isinstance(request.user, User)  # noqa: S101
    return request.user


def person_with(request: HttpRequest, roles: Role | Sequence[Role], refusal: str) -> User:
    """The signed-in person, who must hold one of `roles` in some organisation; else PermissionDenied with `refusal`."""
    user = person(request)
    wanted = [roles] if isinstance(roles, Role) else roles
    if not user.organisations(*wanted).exists():
        raise PermissionDenied(refusal)
    return user


def may_audit(user: User, dataset: Dataset) -> bool:
    """Auditors of the owner, and auditors of other organisations to whom the dataset was granted."""
    if user.has_role(dataset.organisation, Role.AUDITOR):
        return True
    return dataset.grants.filter(auditor=user).exists() and user.organisations(Role.AUDITOR).exists()
