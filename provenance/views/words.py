"""Suggested words of captions: the part of the release form that shows them, and the order to count them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from provenance.errors import TouchmarkError
from provenance.forms.releases import markable_version
from provenance.marks.words import DEFAULT_COUNT
from provenance.models import Role, Version
from provenance.services.access import get_visible, person, person_with
from provenance.services.words import order_words, words_of


@require_GET
def release_words(request: HttpRequest) -> HttpResponse:
    """Words to choose from for one mark set of the form (`set`) whose groups are words."""
    user = person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may make a release.")
    version = markable_version(request.GET.get("version", ""), user)
    words = words_of(version) if version else None
    context = {"version": version, "prefix": request.GET.get("set", ""), "words": words}
    return render(request, "releases/words.html", context)


@require_POST
def version_words(request: HttpRequest, pk: str) -> HttpResponse:
    """Count the words of a version's captions (again). Answers with the part of the form that asked, or its page."""
    user = person(request)
    version = get_visible(Version, user, pk)
    count = request.POST.get("count") or str(DEFAULT_COUNT)
    try:
        order_words(version, by=user, count=int(count) if count.isdecimal() and len(count) < 4 else 0)
    except TouchmarkError as error:
        messages.error(request, error.sentence)
    if request.htmx:  # type: ignore[attr-defined]
        version.refresh_from_db()
        context = {"version": version, "prefix": request.POST.get("set", ""), "words": words_of(version)}
        return render(request, "releases/words.html", context)
    return redirect("version_detail", pk=version.pk)
