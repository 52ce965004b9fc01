"""What one person may see of a row's result."""

from typing import Any

from audits.judging import disclosure
from audits.models import AuditRow
from provenance.models import Release, Role, User


def may_see_assignment(user: User, release: Release) -> bool:
    """Only rights-holders of the organisation that owns the key."""
    return user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER)


def visible_result(row: AuditRow, user: User) -> dict[str, Any]:
    """What one person may see of a row's result: everything, or without a way to derive the secret assignment."""
    return full_result(row) if may_see_assignment(user, row.release) else shuffled_result(row)


def full_result(row: AuditRow) -> dict[str, Any]:
    """The result with the true assignment; patterns are named by number, groups by name."""
    return disclosure.full(row.result)


def shuffled_result(row: AuditRow) -> dict[str, Any]:
    """The result without a way to derive the secret assignment: see `audits.judging.disclosure`."""
    return disclosure.shuffled(row.result)
