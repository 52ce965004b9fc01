"""What one person may see of a row's result."""

from audits.judging import disclosure
from audits.judging.disclosure import View
from audits.models import AuditRow
from provenance.models import Release, Role, User


def may_see_assignment(user: User, release: Release) -> bool:
    """Only rights-holders of the organisation that owns the key."""
    return user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER)


def visible_result(row: AuditRow, user: User) -> View:
    """What one person may see of a row's result: everything, or without a way to derive the secret assignment."""
    return disclosure.full(row.found) if may_see_assignment(user, row.release) else disclosure.withheld(row.found)
