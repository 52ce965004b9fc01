"""The browser's side of uploads: small JSON answers for static/touchmark/js/upload.js."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from provenance.models import Organisation, Upload
from provenance.services import uploads
from provenance.services.access import get_visible, person


@require_POST
def upload_begin(request: HttpRequest) -> HttpResponse:
    """Begins an upload, or finds the unfinished one of the same file."""
    user = person(request)
    try:
        size = int(request.POST.get("size", ""))
        organisation = get_object_or_404(user.organisations(), pk=request.POST.get("organisation", ""))
    except (ValueError, Organisation.DoesNotExist):
        return _refused("The browser did not say which file this is. Load the page again.")
    try:
        upload = uploads.begin(
            organisation,
            name=request.POST.get("name", "")[:300] or "archive",
            size=size,
            fingerprint=request.POST.get("fingerprint", ""),
            by=user,
        )
    except uploads.UploadError as error:
        return _refused(error.sentence)
    return JsonResponse(_state(upload))


@require_POST
def upload_chunk(request: HttpRequest, pk: str) -> HttpResponse:
    """Takes one chunk: the raw body, with its offset in the address. 409 tells where the upload really stands."""
    upload = get_visible(Upload, person(request), pk)
    try:
        offset = int(request.GET.get("offset", ""))
        upload = uploads.append(upload, offset, request.body, by=person(request))
    except ValueError:
        return _refused("The piece came without its place in the file. Load the page again.")
    except uploads.WrongOffsetError:
        return JsonResponse(_state(upload), status=409)
    except uploads.UploadError as error:
        return _refused(error.sentence)
    return JsonResponse(_state(upload))


@require_GET
@never_cache
def upload_state(request: HttpRequest, pk: str) -> HttpResponse:
    return JsonResponse(_state(get_visible(Upload, person(request), pk)))


@require_POST
def upload_discard(request: HttpRequest, pk: str) -> HttpResponse:
    upload = get_visible(Upload, person(request), pk)
    try:
        uploads.discard(upload, by=person(request))
    except uploads.UploadError as error:
        return _refused(error.sentence)
    return JsonResponse({"discarded": True})


def _state(upload: Upload) -> dict[str, object]:
    return {"id": str(upload.pk), "received": upload.received, "size": upload.size, "complete": upload.is_complete}


def _refused(sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=400)
