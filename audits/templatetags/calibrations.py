"""The calibration behind one audit, for the audit's own page: {% load calibrations %}{% calibration_note audit %}"""

from typing import Any

from django import template
from django.template.context import Context

from audits.models import Audit, Calibration
from audits.services.calibrations.notes import note_for
from provenance import wording
from provenance.templatetags.touchmark import badge

register = template.Library()


@register.inclusion_tag("calibrations/calibration_note.html", takes_context=True)
def calibration_note(context: Context, audit: Audit) -> dict[str, Any]:
    """Lines of the newest fitting calibration, whether it is of the same code, and the way to its page."""
    request = context["request"]
    return {"request": request, "nav": context.get("nav"), "plan": audit.plan} | note_for(audit, request.user)


@register.inclusion_tag("components/badge.html")
def error_rate(holds: bool | None) -> dict[str, str]:
    """Whether the tests of a finished calibration keep their error rate, in a word."""
    return badge(wording.verdict(holds), {True: "good", False: "bad", None: "warn"}[holds])


@register.simple_tag
def pairs_per_line(calibration: Calibration) -> str:
    """Pairs of a model and a key behind every line of its table."""
    core = calibration.settings["core"]
    return wording.count(core["rounds"] * core["pairs"])


@register.filter
def share(value: float) -> str:
    """A rate in per cent with two places, so that one in a hundred can be told from its neighbours."""
    return f"{100 * value:.2f} %"


@register.filter
def share_between(low: float, high: float) -> str:
    """An interval of rates in per cent."""
    return f"{100 * low:.2f}–{100 * high:.2f}"


@register.filter
def several_families(rows: list[dict[str, Any]]) -> bool:
    return len({row["family"] for row in rows}) > 1
