"""What templates need to show numbers, times, digests, states and charts. Users' guide: the style guide page."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.forms import BoundField, CheckboxInput
from django.template.context import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString

from provenance import wording

register = template.Library()


# -- numbers -----------------------------------------------------------------------------------------------------
@register.filter("bytes")
def file_size(value: int | None) -> str:
    return wording.file_size(value)


@register.filter
def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return wording.count(value)


@register.simple_tag
def part_of(part: int, whole: int, noun: str, verb: str) -> str:
    """ "None of the 600 captions has", by {% part_of 0 600 "captions" "has,have" %}."""
    return wording.part_of(part, whole, noun, verb)


@register.simple_tag
def structure_sentence(found: Mapping[str, Any]) -> str:
    return wording.structure_sentence(found)


@register.filter
def percent(value: float | None) -> str:
    """A share from 0 to 1, in per cent."""
    return wording.percent(value)


@register.filter
def duration(value: float | timedelta | None) -> str:
    return wording.duration(value)


@register.filter
def pvalue(value: float | None) -> str:
    return wording.p_value(value)


@register.filter
def score(value: float | None) -> str:
    """A measured number with three significant digits."""
    return wording.significant(value)


@register.filter
def as_number(value: float | None) -> str:
    """For attributes that a browser parses: a plain decimal point, no thousands apart."""
    return "" if value is None else format(float(value), ".6g")


@register.filter
def short(value: str | None) -> str:
    """The first 12 characters of a digest."""
    return (value or "")[:12]


# -- times -------------------------------------------------------------------------------------------------------
@register.simple_tag
def when(moment: datetime | None, short: bool = False) -> str:
    """A moment in UTC with a hint how long ago it was; `short` shows the hint and keeps the moment in the title."""
    if moment is None:
        return "–"
    full = wording.moment(moment)
    hint = wording.relative(moment, timezone.now())
    if short:
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), full, hint)
    return format_html(
        '<time datetime="{}">{} <span class="hint">({})</span></time>', moment.isoformat(timespec="seconds"), full, hint
    )


# -- marks of state ----------------------------------------------------------------------------------------------
@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        extra,
        static("touchmark/icons.svg"),
        name,
    )


@register.simple_tag
def notice_icon(tone: str = "") -> SafeString:
    return icon({"good": "check", "warn": "alert", "bad": "alert", "error": "alert"}.get(tone, "info"))


@register.inclusion_tag("components/badge.html")
def badge(state: str, tone: str = "", word: str = "") -> dict[str, str]:
    """An icon and a word for a state; known words have their own tone."""
    known = wording.state_tone(str(state))
    tone = tone or known
    symbol = {"good": "check", "warn": "alert", "bad": "cross", "busy": "spinner"}.get(tone, "dot")
    symbol = wording.STATE_ICONS.get(str(state), symbol)
    return {
        "tone": tone,
        "word": word or str(state).replace("_", " "),
        "symbol": symbol,
        "turning": "turning" if symbol == "spinner" else "",
    }


@register.inclusion_tag("components/digest.html")
def digest(value: str | None, label: str = "", short: bool = False) -> dict[str, Any]:
    return {"value": value, "label": label, "short": short}


# -- the evidence log --------------------------------------------------------------------------------------------
@register.filter
def verb_words(verb: str) -> str:
    """ "release.embedded" as people say it: "Release embedded"."""
    return wording.words(verb.replace(".", " "))


@register.filter
def verb_tone(verb: str) -> str:
    return wording.verb_tone(verb)


@register.filter
def words(name: str) -> str:
    return wording.words(name)


@register.filter
def plain(value: Any) -> str:
    """A value of the log's details as text: lists by commas, yes and no, everything else as JSON."""
    match value:
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(part, str | int) for part in value):
            return ", ".join(str(part) for part in value)
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
        case None:
            return "–"
        case _:
            return str(value)


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2)


@register.simple_tag(takes_context=True)
def subject_link(context: Context, entry: Any) -> str:
    """The subject's label, as a link where it has a page that the person has in their navigation."""
    label = entry.subject_label or entry.subject_id
    pages = {name for name, _, _ in context.get("nav") or []}
    if "Datasets" not in pages or (entry.subject_type == "key" and "Keys" not in pages):
        return label  # administrators look after people, not data, and auditors see no keys: it would lead nowhere
    try:
        url = reverse(f"{entry.subject_type}_detail", kwargs={"pk": entry.subject_id})
    except NoReverseMatch:
        return label
    return format_html('<a href="{}">{}</a>', url, label)


# -- addresses, forms, charts ------------------------------------------------------------------------------------
@register.simple_tag(takes_context=True)
def page_query(context: Context, parameter: str, number: int) -> str:
    """The present query string with one page number changed."""
    query = context["request"].GET.copy()
    query[parameter] = str(number)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def page_url(context: Context, name: str, pk: Any = None) -> str:
    """The address of a page, or "" where the person has no such page in their navigation."""
    url = reverse(name, kwargs={"pk": pk} if pk else None)
    return url if any(url.startswith(own) for _, own, _ in context.get("nav") or [] if own != "/") else ""


@register.filter
def among(index: int, listed: str | None) -> bool:
    """True where `index` stands in a list such as "1,2"."""
    return str(index) in (listed or "").replace(" ", "").split(",")


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, CheckboxInput)


@register.simple_tag
def figure_json(figure: Mapping[str, Any] | str, element: str) -> SafeString:
    """The figure as data that scripts read and browsers never run."""
    value = json.loads(figure) if isinstance(figure, str) else figure
    return json_script(value, f"{element}-figure", encoder=DjangoJSONEncoder)
