"""The fields of the plan form for the choices that `audits.planning` declares."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms

from audits.models import Plan
from audits.planning.choices import CHOICES
from audits.planning.declaration import Choice, Part
from audits.services.plans.values import FIELDS, PlanValues


def said_of(name: str) -> dict[str, Any]:
    """Label and help of a field that the form makes by itself."""
    return {"label": FIELDS[name].label, "help_text": FIELDS[name].help}


def choice_fields() -> dict[str, forms.Field]:
    """A form field for every choice, in the declared order."""
    return {field_name(choice): _field(choice) for choice in CHOICES}


def field_name(choice: Choice) -> str:
    return choice.buttons.name if choice.buttons else choice.name


def field_rows() -> Iterator[list[str]]:
    """Names of the fields that stand in one row, in the order of pages; levels, above the references, are left out."""
    leads = [choice for choice in CHOICES if not choice.beside and choice.part is not Part.LEVELS]
    for lead in sorted(leads, key=lambda choice: choice.part):
        yield [field_name(choice) for choice in CHOICES if lead.name in (choice.name, choice.beside)]


def choices_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """The choices in the cleaned data of a form; those that it left out are missing."""
    asked = [choice for choice in CHOICES if field_name(choice) in data]
    return {choice.name: _value(choice, data[field_name(choice)]) for choice in asked}


def initial_of(values: PlanValues) -> dict[str, Any]:
    """What the form shows for a saved draft."""
    rows = [choice for choice in FIELDS.values() if choice.part is Part.TESTED]
    return {
        **{field_name(choice): _initial(choice, getattr(values, choice.name)) for choice in CHOICES},
        **{row.name: _initial(row, getattr(values, row.name)) for row in rows},
    }


def _value(choice: Choice, cleaned: Any) -> Any:
    return cleaned == choice.buttons.on if choice.buttons else cleaned


def _initial(choice: Choice, value: Any) -> Any:
    if choice.buttons:
        return choice.buttons.on if value else choice.buttons.off
    return [getattr(one, "pk", one) for one in value] if choice.is_several else value


def _field(choice: Choice) -> forms.Field:
    said: dict[str, Any] = {
        "label": choice.label,
        "help_text": choice.help,
        "initial": _initial(choice, choice.default),
    }
    if choice.part is Part.LEVELS:
        return _level_field(choice, said)
    if choice.buttons:
        return _buttons_field(choice, said)
    if choice.words:
        return forms.ChoiceField(choices=list(choice.words.items()), widget=forms.RadioSelect, **said)
    if isinstance(choice.default, bool):
        return forms.BooleanField(required=False, **said)
    bounds = choice.bounds
    if bounds is None:
        raise TypeError(f"No form field is known for “{choice.name}”.")
    said["min_value"] = bounds.least if bounds.form_least is None else bounds.form_least
    said["max_value"] = bounds.most if bounds.form_most is None else bounds.form_most
    return forms.FloatField(**said) if isinstance(choice.default, float) else forms.IntegerField(**said)


def _level_field(choice: Choice, said: dict[str, Any]) -> forms.Field:
    levels = Plan.Level.choices
    if choice.is_several:
        return forms.MultipleChoiceField(choices=levels, widget=forms.CheckboxSelectMultiple, required=False, **said)
    return forms.ChoiceField(choices=levels, widget=forms.RadioSelect, **said)


def _buttons_field(choice: Choice, said: dict[str, Any]) -> forms.Field:
    if choice.buttons is None or choice.shown is None:
        raise TypeError(f"Two buttons need words to stand beside them; “{choice.name}” declares none.")
    words = choice.shown.words
    options = [(choice.buttons.off, words(False)), (choice.buttons.on, words(True))]
    return forms.ChoiceField(choices=options, widget=forms.RadioSelect, **said)
