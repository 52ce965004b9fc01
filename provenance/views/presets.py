"""The part of the release form that says what each preset costs and brings in the chosen version and groups."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_POST

from provenance.errors import TouchmarkError
from provenance.forms.marks import MarkForm
from provenance.forms.releases import MarkSetsForm, markable_version
from provenance.marks import PRESETS, MarkSets, MarkSettings, Preset
from provenance.marks.settings import OPTION_NAMES
from provenance.models import Role, User, Version
from provenance.services.access import person_with
from provenance.services.presets import Cost, cost_of, order_trials, trial_job

_ANY_GROUPS = ("1", "2", "3", "4")  # for a strength whose groups are not named yet


@dataclass(frozen=True)
class Column:
    """One preset in the table."""

    preset: Preset
    is_chosen: bool
    cost: Cost | None  # None where the form says nothing that could be costed
    refusal: str


@require_POST
def release_presets(request: HttpRequest) -> HttpResponse:
    """Three columns for one mark set of the form (`set`). With `measure`, what was not measured yet is ordered."""
    user = person_with(request, Role.RIGHTS_HOLDER, "Only a rights-holder may make a release.")
    number = request.POST.get("set", "")
    version = markable_version(request.POST.get("version", ""), user)
    form = MarkSetsForm(request.POST, user=user)
    if version is None or number not in [str(one.number) for one in form.sets]:
        return HttpResponse()
    columns = [_column(request.POST, int(number), preset, version, user) for preset in PRESETS.values()]
    costs = [column.cost for column in columns if column.cost]
    if "measure" in request.POST:
        try:
            order_trials(version, [cost.mark for cost in costs], by=user)
        except TouchmarkError as error:
            return HttpResponse(error.sentence)
    job = trial_job(version)
    context: dict[str, Any] = {
        "version": version,
        "number": number,
        "columns": columns,
        "job": job,
        "missing": any(cost.trial is None for cost in costs),
        "tried": max((cost.trial.tried for cost in costs if cost.trial), default=0),
        "as_they_are": not _is_adjusted(form.sets[int(number) - 1]),
        "is_several": form.is_several,
    }
    return render(request, "releases/preset_costs.html", context)


def _column(data: QueryDict, number: int, preset: Preset, version: Version, user: User) -> Column:
    changed = data.copy()
    changed[f"set-{number}-preset"] = preset.name
    whole = MarkSetsForm(changed, user=user)
    form = whole.sets[number - 1]
    is_chosen = data.get(f"set-{number}-preset") == preset.name
    mark = form.mark(version)
    if mark is not None:
        cost = cost_of(version, whole.on_chosen_images(version, MarkSets((mark,))).struck[0])
        return Column(preset, is_chosen, cost, cost.refusal)
    refusal = next((str(error) for errors in form.errors.values() for error in errors), "")
    strength = None if _is_adjusted(form) else _strength(preset, form)
    return Column(preset, is_chosen, cost_of(version, strength, refusal) if strength else None, refusal)


def _strength(preset: Preset, form: MarkForm) -> MarkSettings:
    """The preset in the chosen family, before its groups are known."""
    if form.is_plain:
        return preset.settings((), "class", form.family_name, association="plain")
    return preset.settings(_ANY_GROUPS, "class", form.family_name)


def _is_adjusted(form: MarkForm) -> bool:
    """Whether the look of the mark was changed by hand; share, groups and alpha do not change it."""
    return any(form[name].value() for name in OPTION_NAMES if name in form.fields)
