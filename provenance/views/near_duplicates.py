"""The order to count the near-duplicates of a version; its page and the release form show what was found."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from provenance.errors import TouchmarkError
from provenance.models import Version
from provenance.services.access import get_visible, person
from provenance.services.near_duplicates import order_count


@require_POST
def version_near_duplicates(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    version = get_visible(Version, user, pk)
    try:
        order_count(version, by=user)
    except TouchmarkError as error:
        messages.error(request, error.sentence)
    return redirect("version_detail", pk=version.pk)
