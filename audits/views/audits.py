"""Audits: the list, one run with its result, its JSON, and several side by side."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Min, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audits.judging.disclosure import ChoiceView, RankedView, SetView, View
from audits.judging.levels import ChoiceLevel, RankLevel, Unscored
from audits.models import Audit, AuditRow, Plan
from audits.services.calibrations.notes import note_for
from audits.services.models.identity import names_seen_by
from audits.services.plans import series
from audits.services.plans.exposed import exposure_of_run
from audits.services.plans.other_images import other_images
from audits.services.plans.series import other_runs
from audits.services.plans.values import words_of
from audits.services.reports.facts import may_issue
from audits.services.reports.issued import reports_visible
from audits.services.results import charts, choice_tables, rank_charts, tables
from audits.services.results.as_json import as_json
from audits.services.results.keys import keys_of, seen_at
from audits.services.results.other_tests import told_of
from audits.services.results.visible import visible_result
from audits.services.runs.timeline import timeline
from audits.statistics.density import Level
from provenance.models import Organisation, Role, User
from provenance.services.access import get_visible, person
from provenance.services.jobs.cards import job_card

PAGE = 25
MOST_COMPARED = 6


@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """Runs, newest first; above them the plans that still wait for something."""
    user, text = person(request), request.GET.get("q", "").strip()
    found = Audit.objects.for_user(user).select_related("plan__suspect", "plan__version__dataset", "created_by")
    if text:
        found = found.filter(
            Q(plan__name__icontains=text)
            | Q(plan__suspect__name__icontains=text)
            | Q(plan__version__dataset__name__icontains=text)
            | Q(plan__releases__recipient__icontains=text)
            | Q(plan__digest__startswith=text.lower())
        ).distinct()
    conclusion = request.GET.get("conclusion", "")
    if conclusion in Audit.Conclusion.values:
        found = found.filter(conclusion=conclusion)
    waiting = Plan.objects.for_user(user).filter(audits=None).select_related("suspect", "version__dataset")
    context = {
        "page": Paginator(found.annotate(best_p=Min("rows__p_corrected")).order_by("-created_at"), PAGE).get_page(
            request.GET.get("page")
        ),
        "waiting": Paginator(waiting, PAGE).get_page(request.GET.get("plans")),
        "q": text,
        "conclusion": conclusion,
        "conclusions": Audit.Conclusion.choices,
        "keep": [("conclusion", conclusion)] if conclusion else [],
        "may_plan": user.organisations(Role.AUDITOR).exists(),
    }
    return render(request, "audits/audit_list.html", context)


@require_GET
def audit_detail(request: HttpRequest, pk: str) -> HttpResponse:
    user = person(request)
    audit = get_visible(Audit, user, pk)
    plan = audit.plan
    rows = list(audit.rows.select_related("release__version__dataset", "release__key"))
    organisation, keys = _log_of(audit, user), keys_of(audit)
    context: dict[str, Any] = {
        "audit": audit,
        "card": job_card(audit.job, user),
        "plan": plan,
        "releases": plan.releases.order_by("recipient"),
        "references": plan.references.order_by("name"),
        "rows": rows,
        "primary_labels": plan.primary_labels,
        "several_levels": len(plan.primary_levels) > 1,
        "others": other_runs(audit).seen_by(user),
        "other_weights": series.other_weights(audit, user),
        "other_images": other_images(audit, user),
        "known": names_seen_by(plan.suspect, user),
        "keys": keys,
        "keys_page": Paginator(keys.rows, PAGE).get_page(request.GET.get("keys")),
        "seen_at": seen_at(audit),
        "timeline": timeline(organisation, [plan, audit]) if organisation else [],
        "may_steer": audit.job is not None and audit.job.may_be_steered_by(user),
    }
    if rows:
        context |= _shown(request, audit, rows, user)
    if audit.conclusion:
        context |= {"reports": _reports(audit, user), "note": note_for(audit, user)}
    return render(request, "audits/audit_detail.html", context)


def _reports(audit: Audit, user: User) -> dict[str, Any]:
    """The audit's reports, and whether this person may issue one now."""
    return {
        "issued": reports_visible(user).filter(audit=audit),
        "may_issue": audit.state == Audit.State.DONE and may_issue(user, audit),
    }


def _strongest(rows: list[AuditRow]) -> AuditRow:
    return min(rows, key=lambda row: (row.p_corrected, row.p))


def _shown(request: HttpRequest, audit: Audit, rows: list[AuditRow], user: User) -> dict[str, Any]:
    """Charts and tables of the release, level and mark set that the page looks at."""
    wanted = request.GET.get("release", "")
    row = next((row for row in rows if str(row.release_id) == wanted), _strongest(rows))
    result = visible_result(row, user)
    name = next((level for level in result.scored if level == request.GET.get("level")), result.deciding)
    levels = tables.level_rows(result)
    return {
        "row": row,
        "result": result,
        "level": result.scored[name],
        "level_name": name,
        "level_label": Plan.Level(name).label,
        "levels": [(choice, Plan.Level(choice).label) for choice in result.scored],
        "level_rows": levels,
        "correction_reasons": tables.correction_reasons(levels),
        "unscored": [(Plan.Level(choice).label, reason) for choice, reason in result.unscored.items()],
        "other_tests": told_of(row),
        "choice": words_of([row.release]),
        "exposure": exposure_of_run(audit, row.release),
        "set_rows": tables.set_rows(result, name),
        "controls": tables.control_rows(result.scored[name]),
        "controls_sentence": tables.controls_sentence(result.scored[name], audit.plan.alpha),
        **_part(request, audit.plan, result, name),
    }


def _part(request: HttpRequest, plan: Plan, result: View, name: Level) -> dict[str, Any]:
    """The one mark set whose figures are shown: the only one of the release, or that which the address names."""
    wanted = request.GET.get("set", "1")
    number = int(wanted) if wanted.isdecimal() and 1 <= int(wanted) <= len(result.parts) else 1
    part = result.parts[number - 1]
    level = part.scored[name]
    return {
        "part": part,
        "part_level": level,
        "set_number": number,
        "test": level.counted(plan.decide_with_references),
        "with_references": plan.decide_with_references and level.p_with is not None,
        **_figures(part, name, plan.decide_with_references),
    }


def _figures(part: SetView, name: Level, with_references: bool) -> dict[str, Any]:
    level = part.levels[name]
    if isinstance(level, RankLevel):
        histogram = rank_charts.histogram(level.counted(with_references))
        return {"histogram": histogram, "densities": rank_charts.density_table(level)}
    if isinstance(level, ChoiceLevel):
        return {"scores": choice_tables.score_table(level, level.counted(with_references).score)}
    if isinstance(part, RankedView | ChoiceView) or isinstance(level, Unscored):  # never: the level was scored
        return {}
    return {
        "histogram": charts.histogram(level.counted(with_references)),
        "heat_map": charts.heat_map(part, level, with_references and level.p_with is not None),
        "densities": charts.density_table(part, level),
        "restriction": tables.restriction_sentence(part.restriction, part.patterns),
    }


@require_GET
def audit_json(request: HttpRequest, pk: str) -> JsonResponse:
    """Everything of the result page for machines; the assignment only for those who may see it."""
    user = person(request)
    return JsonResponse(as_json(get_visible(Audit, user, pk), user), json_dumps_params={"ensure_ascii": False})


@require_GET
def audit_compare(request: HttpRequest) -> HttpResponse:
    """Up to six finished runs side by side."""
    user = person(request)
    wanted = [get_visible(Audit, user, pk) for pk in dict.fromkeys(request.GET.getlist("audit")[:MOST_COMPARED])]
    finished = [audit for audit in wanted if audit.state == Audit.State.DONE]
    context = {
        "audits": finished,
        "left_out": len(wanted) - len(finished),
        "same_plan": len({(a.plan.primary_levels, a.plan.probes, a.plan.version_id) for a in finished}) <= 1,
        "chart": charts.strengths(finished) if finished else None,
    }
    return render(request, "audits/audit_compare.html", context)


def _log_of(audit: Audit, user: User) -> Organisation | None:
    """The chain that this person may read: the auditor's own, else the owner's."""
    mine = Organisation.objects.for_user(user)
    return next((o for o in audit.organisations if mine.filter(pk=o.pk).exists()), None)
