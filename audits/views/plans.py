"""Plans: drafted with a live forecast, locked, run."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audits.forms.plan_choices import initial_of
from audits.forms.plans import PlanForm
from audits.models import Plan
from audits.services.models.identity import names_seen_by
from audits.services.pilots.forecasts import of_plan
from audits.services.plans import drafting, locking
from audits.services.plans.forecasts import forecast
from audits.services.plans.frozen import frozen_text
from audits.services.plans.values import FIELDS, values_of
from audits.services.runs import queueing
from provenance.errors import TouchmarkError
from provenance.models import Role, User
from provenance.services.access import get_visible, person
from provenance.views.outcome import done_or_refused


@require_http_methods(["GET", "POST"])
def plan_new(request: HttpRequest) -> HttpResponse:
    _only_auditors(person(request))
    if request.method == "POST":
        form = PlanForm(request.POST, user=person(request))
        plan = _saved(form, person(request))
        if plan is None:
            return render(request, "plans/plan_form.html", {"form": form}, status=422)
        messages.success(request, "The draft is saved. Lock it when nothing is to change any more.")
        return redirect("plan_detail", pk=plan.pk)
    return _empty_or_started(request)


def _saved(form: PlanForm, by: User, plan: Plan | None = None) -> Plan | None:
    """The draft; None where the form says why it is none, with all that was entered still in it."""
    if not form.is_valid():
        return None
    try:
        return drafting.save_draft(form.values, by=by, plan=plan)
    except TouchmarkError as error:
        form.add_error(None, error.sentence)
        return None


def _empty_or_started(request: HttpRequest) -> HttpResponse:
    """A fresh form; when another version is chosen on the page, the fields again with its releases."""
    user = person(request)
    if request.htmx:  # type: ignore[attr-defined]
        chosen = _chosen(request)
        chosen.pop("releases")  # those of another version
        return render(request, "plans/plan_fields.html", {"form": PlanForm(initial=chosen, user=user)})
    versions = drafting.auditable_versions(user)
    wanted = request.GET.get("version", "")
    version = next((v for v in versions if str(v.pk) == wanted), None)
    if version is None:
        version = versions.filter(releases__state="ready").first() or versions.first()
    initial: dict[str, object] = {"version": version, "releases": request.GET.getlist("release")}
    if request.GET.get("suspect"):
        initial["suspect"] = request.GET["suspect"]
    form = PlanForm(initial=initial, user=user)
    return render(request, "plans/plan_form.html", {"form": form, "lacks": _lacks(form)})


def _chosen(request: HttpRequest) -> dict[str, object]:
    """What stands in a form that is not complete yet."""
    lists = [choice.name for choice in FIELDS.values() if choice.is_several]
    return dict(request.GET.items()) | {name: request.GET.getlist(name) for name in lists}


@require_GET
def plan_references(request: HttpRequest) -> HttpResponse:
    """The list of references anew, with what speaks for each and against it, for the suspect and releases chosen."""
    _only_auditors(person(request))
    form = PlanForm(initial=_chosen(request), user=person(request))
    return render(request, "plans/reference_choices.html", {"form": form})


def _lacks(form: PlanForm) -> list[str]:
    """What must exist before a plan can be made."""
    lacks = []
    if not form.fields["version"].queryset.exists():  # type: ignore[attr-defined]
        lacks.append("No dataset version is open to you. A rights-holder registers one, or grants you a dataset.")
    elif not form.fields["releases"].queryset.exists():  # type: ignore[attr-defined]
        lacks.append("This version has no release yet. A rights-holder makes one.")
    if not form.fields["suspect"].queryset.exists():  # type: ignore[attr-defined]
        lacks.append("No suspect is registered. Register its weights first.")
    return lacks


@require_GET
def plan_forecast(request: HttpRequest) -> HttpResponse:
    """The box that moves with the form: passes, time, smallest p, warnings."""
    _only_auditors(person(request))
    form = PlanForm(request.GET, user=person(request))
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        context = {"forecast": forecast(form.values), "pilots": of_plan(form.values.releases)}
    return render(request, "plans/forecast.html", context)


@require_GET
def plan_detail(request: HttpRequest, pk: str) -> HttpResponse:
    plan = get_visible(Plan, person(request), pk)
    values = values_of(plan)
    context = {
        "plan": plan,
        "values": values,
        "forecast": forecast(values, plan),
        "pilots": of_plan(values.releases, plan.locked_at),
        "audits": plan.audits.select_related("job"),
        "may_act": person(request).has_role(plan.organisation, Role.AUDITOR),
        "known": names_seen_by(plan.suspect, person(request)),
    }
    return render(request, "plans/plan_detail.html", context)


@require_http_methods(["GET", "POST"])
def plan_edit(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    plan = get_visible(Plan, user, pk)
    if not user.has_role(plan.organisation, Role.AUDITOR):
        raise PermissionDenied("Only an auditor may change a plan.")
    if plan.is_locked:
        messages.error(request, "This plan is locked, so nothing about it can change.")
        return redirect("plan_detail", pk=plan.pk)
    if request.method == "GET":
        form = PlanForm(initial=initial_of(values_of(plan)), user=user)
        return render(request, "plans/plan_form.html", {"form": form, "plan": plan})
    form = PlanForm(request.POST, user=user)
    if _saved(form, user, plan) is None:
        return render(request, "plans/plan_form.html", {"form": form, "plan": plan}, status=422)
    messages.success(request, "The draft is saved.")
    return redirect("plan_detail", pk=plan.pk)


@require_POST
def plan_lock(request: HttpRequest, pk: str) -> HttpResponse:
    plan = get_visible(Plan, person(request), pk)
    lock = partial(locking.lock, plan, by=person(request))
    return done_or_refused(request, lock, "Locked. Its digest is in the log.", "plan_detail", pk=plan.pk)


@require_POST
def plan_run(request: HttpRequest, pk: str) -> HttpResponse:
    plan = get_visible(Plan, person(request), pk)
    try:
        audit = queueing.queue(plan, by=person(request))
    except TouchmarkError as error:
        messages.error(request, error.sentence)
        return redirect("plan_detail", pk=plan.pk)
    return redirect("audit_detail", pk=audit.pk)


@require_GET
def plan_json(request: HttpRequest, pk: str) -> JsonResponse:
    """The frozen text of a locked plan and its digest; what a draft would freeze now, without a digest."""
    plan = get_visible(Plan, person(request), pk)
    frozen = plan.frozen if plan.is_locked else frozen_text(plan, values_of(plan))
    return JsonResponse({"state": plan.state, "digest": plan.digest or None, "plan": frozen})


def _only_auditors(user: User) -> None:
    if not user.organisations(Role.AUDITOR).exists():
        raise PermissionDenied("Only auditors plan audits.")
