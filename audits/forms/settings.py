"""What forms take from the settings that they fill: bounds of numbers, and names of methods."""

from collections.abc import Iterable
from dataclasses import fields

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from audits.pilots.checked import Checked
from audits.pilots.methods import METHODS

METHOD_CHOICES = [(name, f"{method.title[:1].upper()}{method.title[1:]}") for name, method in METHODS.items()]


def set_bounds(form: forms.Form, settings: type[Checked], names: Iterable[str]) -> None:
    """Numbers out of range are told beside their field, as the settings' own fields of these names bound them."""
    asked = set(names)
    for one in fields(settings):
        if one.name in asked and (bounds := one.metadata.get("bounds")):
            low, high = bounds
            field = form.fields[one.name]
            field.validators += [MinValueValidator(low), MaxValueValidator(high)]
            field.widget.attrs |= {"min": low, "max": high}
