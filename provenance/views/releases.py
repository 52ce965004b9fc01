"""Releases: the list, a new one with its live plan, one release, its gallery, its download."""

import hashlib
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from provenance.embedding.beside import BesideFile
from provenance.embedding.pictures import KINDS
from provenance.embedding.zip_layout import ZipLayout
from provenance.errors import TouchmarkError
from provenance.forms.releases import MarkSetsForm, ReleaseForm, markable_versions
from provenance.intake.manifest import Manifest
from provenance.models import LogEntry, Release, Role, User
from provenance.services import release_gallery as gallery
from provenance.services import releases
from provenance.services.access import get_visible, person, person_with
from provenance.services.claims import claims_dropped, claims_of_version
from provenance.services.inspections import inspection_of, is_inspectable, order_inspection
from provenance.services.jobs.cards import job_card
from provenance.services.keyed_choices import plan_of_choice
from provenance.services.near_duplicates import MARK, near_duplicates_of
from provenance.services.release_comparison import compared
from provenance.services.release_forecasts import forecasts_of_release
from provenance.services.release_plans import UncountedError, plan_sets, small_images
from provenance.services.release_report import set_reports
from provenance.views.byte_ranges import ByteRange, UnsatisfiableRangeError, parse_range

PAGE_SIZE = 25
SHOWN_ALPHA = 0.001  # at which the form says what a model must know


@require_GET
def release_list(request: HttpRequest) -> HttpResponse:
    user = person(request)
    rows = Release.objects.for_user(user).select_related("version__dataset", "key", "job")
    context = {
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "may_make": user.organisations(Role.RIGHTS_HOLDER).exists(),
    }
    return render(request, "releases/release_list.html", context)


def release_new(request: HttpRequest) -> HttpResponse:
    user = person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may make a release.")
    if request.htmx:  # type: ignore[attr-defined]
        return _mark_sets(request, user)
    if request.method != "POST" or {"add_set", "remove_set"} & set(request.POST):
        return _release_form(request, ReleaseForm.kept(request.POST or request.GET, user))
    form = ReleaseForm(request.POST, user=user)
    if not form.is_valid():
        return _release_form(request, form)
    values = form.cleaned_data
    try:
        made = releases.make_releases(
            values["version"],
            form.recipient_names(),
            values["marks"],
            by=user,
            note=values["note"],
            key=values["key"],
            drop_claims=values["drop_claims"],
            outlets=form.home.cleaned_data.get("outlets", ""),
        )
    except TouchmarkError as error:
        form.add_error(None, error.sentence)
        return _release_form(request, form)
    if len(made) == 1:
        doing = "marked" if form.home.strikes else "made"
        messages.success(request, f"The key is committed. The release is being {doing}.")
        return redirect("release_detail", pk=made[0].pk)
    messages.success(request, f"{len(made)} keys are committed. {len(made)} releases are being marked.")
    return redirect("release_list")


def _release_form(request: HttpRequest, form: ReleaseForm) -> HttpResponse:
    context = {"form": form, "has_versions": markable_versions(person(request)).exists()}
    return render(request, "releases/release_new.html", context)


def _mark_sets(request: HttpRequest, user: User) -> HttpResponse:
    """While the form is filled in: the mark sets with the fields of what was chosen, one set more, or one less."""
    form = MarkSetsForm.kept(request.POST or request.GET, user)
    answer = render(request, "releases/mark_sets.html", {"form": form})
    return trigger_client_event(answer, "mark-sets", after="settle")


@require_http_methods(["GET", "POST"])  # the form's fields may be more than an address can hold
def release_plan(request: HttpRequest) -> HttpResponse:
    """The live part of the form: what the settings would mark in each group."""
    user = person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may make a release.")
    form = MarkSetsForm(request.POST or request.GET, user=user)
    context: dict[str, Any] = {"form": form}
    if version := form.shown_version:
        context |= {"version": version, "near": near_duplicates_of(version)}
        context["copies"] = version.facts.get("duplicates", {}).get("copies")
    if form.is_valid():
        marks, version = form.cleaned_data["marks"], form.cleaned_data["version"]
        context["strikes"] = bool(marks.struck)
        context["leaves_out"] = form.cleaned_data["near_duplicates"] != MARK
        context["forecasts"] = forecasts_of_release(version, marks)
        try:
            plans = plan_sets(version, marks, wait=False)
            if choice := plan_of_choice(version, marks):
                context |= {"choice": choice, "needed": choice.chance_needed(SHOWN_ALPHA)}
        except UncountedError as error:
            context["uncounted"] = error.sentence
        except TouchmarkError as error:
            form.add_error(None, error.sentence)
        else:
            pairs = zip(marks.struck, plans, strict=True)
            context["plans"] = [(mark, plan, small_images(version, mark)) for mark, plan in pairs]
            context |= {"claims": claims_of_version(version), "dropped": form.cleaned_data["drop_claims"]}
    return render(request, "releases/plan.html", context)


@require_GET
def release_detail(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    release = get_visible(Release, user, pk)
    context: dict[str, Any] = {
        "release": release,
        "card": job_card(release.job, user),
        "version": release.version,
        "key": release.key,
        "marks": release.key.mark_sets.struck,
        "withheld": release.key.mark_sets.withheld,
        "versions": release.key.mark_sets.versions,
        "facts": release.facts,
        "owns": _owns(user, release),
        "entries": LogEntry.objects.for_user(user).about(release, release.key),
        "sees_key": user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER, Role.LEGAL),
    }
    if release.state == Release.State.READY:
        context |= {
            "reports": set_reports(release),
            "passed_over": sum(release.facts["passed_over"].values()),
            "claims": claims_of_version(release.version),
            "dropped": claims_dropped(release),
        }
        if context["owns"]:
            context["comparison"] = compared(release)
            if context["marks"] or is_inspectable(release):
                context["inspection"] = state = inspection_of(release)
                context["inspection_card"] = job_card(state.job, user)
    return render(request, "releases/release_detail.html", context)


@require_POST
def release_inspect(request: HttpRequest, pk: str) -> HttpResponse:
    """Order the trial whether marked files can be told apart; the page shows how it goes."""
    release = _owned(request, pk)
    try:
        order_inspection(release, by=person(request))
    except TouchmarkError as error:
        messages.error(request, error.sentence)
    return redirect("release_detail", pk=release.pk)


@require_GET
def release_inspection(request: HttpRequest, pk: str) -> HttpResponse:
    """What the last inspection found, as JSON."""
    release = _owned(request, pk)
    if release.inspection is None:
        raise Http404("This copy has not been inspected.")
    return JsonResponse({"release": str(release.pk), "root": release.root, **release.inspection})


@require_GET
def release_gallery(request: HttpRequest, pk: str) -> HttpResponse:
    release = _owned(request, pk)
    page = Paginator(range(release.marked_count), gallery.PAGE_SIZE).get_page(request.GET.get("page"))
    rows = gallery.marked_page(release, page.number)
    context = {"release": release, "page": page, "rows": rows, "kinds": KINDS}
    return render(request, "releases/release_gallery.html", context)


@require_GET
def release_home(request: HttpRequest, pk: str) -> HttpResponse:
    release = _owned(request, pk)
    if release.key.mark_sets.withheld is None:
        raise Http404("No image of this release stays home.")
    page = Paginator(range(release.facts["withheld"]["blocks"]), gallery.PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"release": release, "page": page, "blocks": gallery.home_page(release, page.number)}
    return render(request, "releases/release_home.html", context)


@require_GET
def release_versions(request: HttpRequest, pk: str) -> HttpResponse:
    release = _owned(request, pk)
    if release.key.mark_sets.versions is None:
        raise Http404("No picture of this release comes in two versions.")
    page = Paginator(range(release.facts["versions"]["images"]), gallery.PAGE_SIZE).get_page(request.GET.get("page"))
    rows = gallery.versions_page(release, page.number)
    context = {"release": release, "page": page, "rows": rows, "kinds": KINDS}
    return render(request, "releases/release_versions.html", context)


@require_GET
@cache_control(private=True, max_age=86400, immutable=True)
def release_picture(request: HttpRequest, pk: str, position: int, kind: str) -> HttpResponse:
    picture = gallery.picture(_owned(request, pk), position, kind)
    if picture is None:
        raise Http404("The gallery has no such picture.")
    return HttpResponse(picture, content_type="image/webp")


@require_safe
def release_download(request: HttpRequest, pk: str) -> HttpResponseBase:
    """The marked copy as a zip, made while it is sent; resumable at any byte."""
    release = _owned(request, pk)
    manifest = Manifest(release.folder / "manifest")
    name = slugify(f"{release.version.dataset.name} {release.version.number} {release.recipient}") or "release"
    beside = BesideFile.of_release(release.facts)
    layout = ZipLayout(manifest, release.folder / "files", name, beside)
    whole = "/".join(["1", release.root, name, *(one.sha256 for one in beside)])  # 1: the archive's layout
    tag = f'"{hashlib.sha256(whole.encode()).hexdigest()}"'
    if tag in (part.strip() for part in request.headers.get("If-None-Match", "").split(",")):
        manifest.close()
        return _with_headers(HttpResponse(status=304), name, tag)
    try:
        wanted = _wanted_range(request, layout.size, tag)
    except UnsatisfiableRangeError:
        manifest.close()
        answer = _with_headers(HttpResponse(status=416), name, tag)
        answer["Content-Range"] = f"bytes */{layout.size}"
        return answer
    asked = wanted or ByteRange(0, layout.size)
    if request.method == "HEAD":
        manifest.close()
        stream: HttpResponseBase = HttpResponse(content_type="application/zip", status=206 if wanted else 200)
    else:
        if asked.start == 0:
            releases.note_download(release, by=person(request))
        stream = StreamingHttpResponse(_pieces(layout, manifest, asked), status=206 if wanted else 200)
    if wanted:
        stream["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{layout.size}"
    stream["Content-Length"] = str(asked.stop - asked.start)
    return _with_headers(stream, name, tag)


def _wanted_range(request: HttpRequest, size: int, tag: str) -> ByteRange | None:
    """The range, unless If-Range names another state of the archive (or a date, which we do not give out)."""
    header, condition = request.headers.get("Range"), request.headers.get("If-Range")
    if not header or (condition is not None and condition.strip() != tag):
        return None
    return parse_range(header, size)


def _pieces(layout: ZipLayout, manifest: Manifest, wanted: ByteRange) -> Iterator[bytes]:
    with manifest:
        yield from layout.read_range(wanted.start, wanted.stop)


def _with_headers(answer: HttpResponseBase, name: str, tag: str) -> HttpResponseBase:
    answer["ETag"] = tag
    answer["Accept-Ranges"] = "bytes"
    answer["Cache-Control"] = "private, no-transform"
    answer["Content-Type"] = "application/zip"
    answer["Content-Disposition"] = content_disposition_header(True, f"{name}.zip") or "attachment"
    return answer


def _owns(user: User, release: Release) -> bool:
    return user.has_role(release.version.dataset.organisation, Role.RIGHTS_HOLDER)


def _owned(request: HttpRequest, pk: str) -> Release:
    """A release that is ready, for rights-holders of its owner alone: its files tell which images are marked."""
    user = person(request)
    release = get_visible(Release, user, pk)
    if not _owns(user, release):
        raise PermissionDenied("Only a rights-holder of the owner may see which images are marked.")
    if release.state != Release.State.READY:
        raise Http404("This release is not ready.")
    return release
