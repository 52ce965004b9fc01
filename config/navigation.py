"""The navigation of every page: it names pages of both apps, so it belongs to neither."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from provenance.models import Membership, Role

_EVERYONE = {Role.RIGHTS_HOLDER, Role.AUDITOR, Role.LEGAL, Role.ADMINISTRATOR}
_DATA = {Role.RIGHTS_HOLDER, Role.AUDITOR, Role.LEGAL}
# (label, url name, roles that see it)
NAVIGATION: list[tuple[str, str, set[Role]]] = [
    ("Overview", "overview", _EVERYONE),
    ("Datasets", "dataset_list", _DATA),
    ("Keys", "key_list", {Role.RIGHTS_HOLDER, Role.LEGAL}),
    ("Pilots", "pilot_list", _DATA),
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
PARTS = {
    "dataset_list": ("/versions/", "/clusterings/"),
    "model_list": ("/trainings/",),
    "pilot_list": ("/robustness/",),
    "status": ("/jobs/",),
}


def navigation(request: HttpRequest) -> dict[str, Any]:
    """nav: (label, address, whether the page belongs to it) of every item that the person's roles show."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {"nav": []}
    roles = set(Membership.objects.filter(user=request.user).values_list("role", flat=True))
    here = getattr(request, "path", "/")
    items = []
    for label, name, allowed in NAVIGATION:
        if allowed & roles:
            url = reverse(name)
            own = (url, *PARTS.get(name, ()))
            items.append((label, url, here == url if url == "/" else here.startswith(own)))
    return {"nav": items}
