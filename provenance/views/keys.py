"""Keys as people see them: a commitment, its moments, and what became of it. Never a byte of the key."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from provenance.errors import TouchmarkError
from provenance.forms.releases import DrawForm, DropForm, markable_versions
from provenance.models import LogEntry, Role, WatermarkKey
from provenance.services import keys
from provenance.services.access import get_visible, person

PAGE_SIZE = 25


@require_GET
def key_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    rows = WatermarkKey.objects.for_user(user).select_related("version__dataset", "drawn_by", "release")
    counted = {row["state"]: row["number"] for row in rows.order_by().values("state").annotate(number=Count("pk"))}
    context = {
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "counts": [(label, counted.get(state, 0)) for state, label in WatermarkKey.State.choices],
        "total": sum(counted.values()),
        "form": DrawForm(user=user) if markable_versions(user).exists() else None,
        "may_draw": user.organisations(Role.RIGHTS_HOLDER).exists(),
    }
    return render(request, "keys/key_list.html", context)


@require_POST
def key_draw(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form = DrawForm(request.POST, user=user)
    if not form.is_valid():
        messages.error(request, "Choose a version of yours that is ready.")
        return redirect("key_list")
    try:
        key = keys.draw(form.cleaned_data["version"], by=user)
    except TouchmarkError as error:
        messages.error(request, error.sentence)
        return redirect("key_list")
    messages.success(request, f"A key was drawn for {key.version}. Commit it by making a release, or drop it.")
    return redirect("key_detail", pk=key.pk)


@require_GET
def key_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return _detail(request, get_visible(WatermarkKey, person(request), pk), DropForm())


@require_POST
def key_drop(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    key = get_visible(WatermarkKey, user, pk)
    form = DropForm(request.POST)
    if form.is_valid():
        try:
            keys.drop(key, form.cleaned_data["reason"], by=user)
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            messages.success(request, "The key is dropped. It stays in the list and in the count.")
            return redirect("key_detail", pk=key.pk)
    return _detail(request, key, form)


def _detail(request: HttpRequest, key: WatermarkKey, form: DropForm) -> HttpResponse:
    user = person(request)
    owns = user.has_role(key.version.dataset.organisation, Role.RIGHTS_HOLDER)
    unused = key.state in (WatermarkKey.State.DRAWN, WatermarkKey.State.COMMITTED)
    context = {
        "key": key,
        "version": key.version,
        "release": getattr(key, "release", None),
        "marks": key.mark_sets.struck if key.settings else (),
        "withheld": key.mark_sets.withheld if key.settings else None,
        "versions": key.mark_sets.versions if key.settings else None,
        "may_drop": owns and unused,
        "may_use": owns and key.state == WatermarkKey.State.DRAWN,
        "form": form,
        "entries": LogEntry.objects.for_user(user).about(key),
    }
    return render(request, "keys/key_detail.html", context)
