"""How pages say what a calibration found: {% load calibrations %}{% error_rate table.holds %}"""

from typing import Any

from django import template

from provenance import wording
from provenance.templatetags.touchmark import badge

register = template.Library()


@register.inclusion_tag("components/badge.html")
def error_rate(holds: bool | None) -> dict[str, str]:
    """Whether the tests of a finished calibration keep their error rate, in a word."""
    return badge(wording.verdict(holds), {True: "good", False: "bad", None: "warn"}[holds])


@register.filter
def share(value: float) -> str:
    return wording.rate(value)


@register.filter
def share_between(low: float, high: float) -> str:
    return wording.rates(low, high)


@register.filter
def several_families(rows: list[dict[str, Any]]) -> bool:
    return len({row["family"] for row in rows}) > 1
