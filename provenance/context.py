"""What every page knows: the navigation, and whether this is a demo instance."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from provenance.models import Membership, Role

# (label, url name, roles that see it)
_EVERYONE = {Role.RIGHTS_HOLDER, Role.AUDITOR, Role.LEGAL, Role.ADMINISTRATOR}
_DATA = {Role.RIGHTS_HOLDER, Role.AUDITOR, Role.LEGAL}
NAVIGATION: list[tuple[str, str, set[Role]]] = [
    ("Overview", "overview", _EVERYONE),
    ("Datasets", "dataset_list", _DATA),
    ("Keys", "key_list", {Role.RIGHTS_HOLDER, Role.LEGAL}),
    ("Releases", "release_list", _DATA),
    ("Models", "model_list", _DATA),
    ("Audits", "audit_list", _DATA),
    ("Reports", "report_list", _DATA),
    ("Calibration", "calibration_list", _EVERYONE),
    ("Evidence log", "log_list", _EVERYONE),
    ("People", "people", {Role.ADMINISTRATOR}),
    ("Status", "status", {Role.ADMINISTRATOR}),
]

# Pages that belong to an item of the navigation although their addresses begin otherwise.
PARTS = {"dataset_list": ("/versions/", "/clusterings/"), "model_list": ("/trainings/",), "status": ("/jobs/",)}


def site(request: HttpRequest) -> dict[str, Any]:
    return {"demo_instance": settings.DEMO_FILE.exists(), "nav": _navigation(request)}


def _navigation(request: HttpRequest) -> list[tuple[str, str, bool]]:
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return []
    roles = set(Membership.objects.filter(user=request.user).values_list("role", flat=True))
    here = getattr(request, "path", "/")
    items = []
    for label, name, allowed in NAVIGATION:
        if allowed & roles:
            url = reverse(name)
            own = (url, *PARTS.get(name, ()))
            items.append((label, url, here == url if url == "/" else here.startswith(own)))
    return items
