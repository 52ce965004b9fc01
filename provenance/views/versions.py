"""One version of a dataset: its facts, its files with proofs, what was not taken."""

from itertools import islice
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_POST

from provenance.errors import TouchmarkError
from provenance.forms.datasets import GiveUpForm
from provenance.forms.keyed_choices import BlockRuleForm
from provenance.intake.manifest import Manifest
from provenance.intake.merkle import leaf_hash, verify_inclusion
from provenance.models import LogEntry, Role, Version
from provenance.services import manifests
from provenance.services.access import get_visible, person
from provenance.services.blockings import blocking_job
from provenance.services.claims import claims_of_version
from provenance.services.jobs.cards import job_card
from provenance.services.lost_manifests import give_up, is_lost
from provenance.services.near_duplicates import near_duplicates_of
from provenance.services.near_duplicates import samples as near_samples
from provenance.services.words import words_of

PAGE_SIZE = 50
LABELS = 50
BLOCKINGS = 10


@require_GET
def version_detail(request: HttpRequest, pk: str) -> HttpResponse:
    return version_page(request, get_visible(Version, person(request), pk))


def version_page(request: HttpRequest, version: Version, rule_form: BlockRuleForm | None = None) -> HttpResponse:
    """rule_form: one that was refused, with what was entered."""
    user = person(request)
    if is_lost(version):
        return _lost(request, version, GiveUpForm())
    context: dict[str, Any] = {
        "version": version,
        "dataset": version.dataset,
        "facts": version.facts,
        "claims": claims_of_version(version),
        "card": job_card(version.job, user),
        "entries": LogEntry.objects.for_user(user).about(version).order_by("-seq"),
        "may_change": user.has_role(version.dataset.organisation, Role.RIGHTS_HOLDER),
    }
    if version.state == Version.State.READY:
        labels = sorted(version.facts["labels"].items(), key=lambda item: (-item[1], item[0]))
        context["labels"] = labels[:LABELS]
        context["more_labels"] = max(0, len(labels) - LABELS)
        with manifests.open_manifest(version) as manifest:
            indices = manifests.sample_indices(len(manifest), 12)
            context["samples"] = [(index, manifest.entry(index)) for index in indices]
            shown = [[(index, manifest.entry(index)) for index in group] for group in near_samples(version)]
        context["near"] = near = near_duplicates_of(version)
        context |= {"near_samples": shown, "near_hidden": -len(shown), "near_card": job_card(near.job, user)}
        if context["may_change"]:
            job = blocking_job(version)
            context |= {"blockings": version.blockings.all()[:BLOCKINGS], "blocking_card": job_card(job, user)}
            context |= {"blocking_job": job, "rule_form": rule_form or BlockRuleForm(version=version)}
        if context["may_change"] and version.facts["captioned"]:
            context["words"] = words = words_of(version)
            context["words_card"] = job_card(words.job, user)
    return render(request, "versions/version_detail.html", context, status=422 if rule_form else 200)


@require_POST
def version_give_up(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    version = get_visible(Version, user, pk)
    form = GiveUpForm(request.POST)
    if not form.is_valid():
        return _lost(request, version, form)
    try:
        give_up(version, form.cleaned_data["reason"], by=user)
    except TouchmarkError as error:
        messages.error(request, error.sentence)  # it is given up already, or not lost any more: the form is gone
    else:
        messages.success(request, "The manifest is given up. Plans need not wait for it any more.")
    return redirect("version_detail", pk=version.pk)


def _lost(request: HttpRequest, version: Version, form: GiveUpForm) -> HttpResponse:
    """The page of a version whose manifest is gone: nothing of its files can be shown."""
    user = person(request)
    owns = user.has_role(version.dataset.organisation, Role.RIGHTS_HOLDER)
    context = {
        "version": version,
        "dataset": version.dataset,
        "may_give_up": owns and version.given_up_at is None,
        "form": form,
        "entries": LogEntry.objects.for_user(user).about(version).order_by("-seq"),
    }
    return render(request, "versions/version_lost.html", context)


@require_GET
def version_files(request: HttpRequest, pk: str) -> HttpResponse:
    """The manifest, page by page or by a search text."""
    version = _ready(request, pk)
    wanted = request.GET.get("q", "").strip()[:200]
    context: dict[str, Any] = {"version": version, "dataset": version.dataset, "q": wanted}
    with manifests.open_manifest(version) as manifest:
        if wanted:
            start = PAGE_SIZE * (max(1, _number(request, "page")) - 1)
            found = manifest.search(wanted, start, PAGE_SIZE + 1)
            context |= {"rows": found[:PAGE_SIZE], "start": start, "number": start // PAGE_SIZE + 1}
            context["more"] = len(found) > PAGE_SIZE
        else:
            page = Paginator(range(len(manifest)), PAGE_SIZE).get_page(request.GET.get("page"))
            first = page.start_index() - 1
            context |= {"page": page, "rows": list(enumerate(manifest.page(first, PAGE_SIZE), first))}
    return render(request, "versions/version_files.html", context)


@require_GET
def version_file(request: HttpRequest, pk: str, index: int) -> HttpResponse:
    version = _ready(request, pk)
    with manifests.open_manifest(version) as manifest:
        proof = _proof(manifest, version, index)
        context = {
            "version": version,
            "dataset": version.dataset,
            "entry": manifest.entry(index),
            "index": index,
            "proof": proof,
            "number": index + 1,
            "previous": index - 1 if index else None,
            "next": index + 1 if index + 1 < len(manifest) else None,
        }
    return render(request, "versions/version_file.html", context)


@require_GET
def version_proof(request: HttpRequest, pk: str, index: int) -> HttpResponse:
    """The inclusion proof as a file that anybody can check with any RFC 6962 library."""
    version = _ready(request, pk)
    with manifests.open_manifest(version) as manifest:
        proof = _proof(manifest, version, index)
    del proof["verified"]
    answer = JsonResponse(proof, json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="proof-{index}.json"'
    return answer


@require_GET
@cache_control(private=True, max_age=86400, immutable=True)
def version_image(request: HttpRequest, pk: str, index: int) -> HttpResponse:
    """A small picture of one file, drawn anew: never the bytes that somebody brought."""
    version = _ready(request, pk)
    size = manifests.VIEW_SIZE if request.GET.get("size") == "large" else manifests.SAMPLE_SIZE
    try:
        picture = manifests.thumbnail(version, index, size)
    except IndexError as error:
        raise Http404("The version has no such file.") from error
    if picture is None:
        raise Http404("There is no picture of this file: it is gone, or cannot be decoded.")
    return HttpResponse(picture, content_type="image/webp")


@require_GET
def version_issues(request: HttpRequest, pk: str) -> HttpResponse:
    """What was refused or skipped, which labels did not fit, and exact copies."""
    version = _ready(request, pk)
    facts = version.facts
    total = facts["refused"] + facts["skipped"] + facts["label_problems"]
    page = Paginator(range(total), PAGE_SIZE).get_page(request.GET.get("page"))
    copies = Paginator(range(facts["duplicates"]["copies"]), PAGE_SIZE).get_page(request.GET.get("copies"))
    with manifests.open_manifest(version) as manifest:
        context = {
            "version": version,
            "dataset": version.dataset,
            "facts": facts,
            "page": page,
            "refused": manifest.refused(max(0, page.start_index() - 1), PAGE_SIZE),
            "copies_page": copies,
            "copies": list(islice(manifest.duplicates(), max(0, copies.start_index() - 1), copies.end_index())),
        }
    return render(request, "versions/version_issues.html", context)


def _ready(request: HttpRequest, pk: str) -> Version:
    version = get_visible(Version, person(request), pk)
    if version.state != Version.State.READY:
        raise Http404("This version has no manifest yet.")
    return version


def _proof(manifest: Manifest, version: Version, index: int) -> dict[str, Any]:
    try:
        line, siblings = manifest.line(index), manifest.proof(index)
    except IndexError as error:
        raise Http404("The version has no such file.") from error
    leaf = leaf_hash(line)
    # Checked against the root in the database, not against the one in the folder.
    verified = verify_inclusion(leaf, index, len(manifest), siblings, bytes.fromhex(version.root))
    return {
        "algorithm": "RFC 6962 Merkle tree, SHA-256",
        "dataset": version.dataset.name,
        "version": version.number,
        "root": version.root,
        "files": len(manifest),
        "index": index,
        "line": line.decode(),
        "leaf_hash": leaf.hex(),
        "siblings": [sibling.hex() for sibling in siblings],
        "verified": verified,
    }


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 9 else 1
