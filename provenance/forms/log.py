from typing import Any

from django import forms
from django.db.models import QuerySet

from provenance.models import Organisation

NOUNS = [
    "dataset",
    "version",
    "key",
    "release",
    "model",
    "reference",
    "plan",
    "audit",
    "report",
    "member",
    "organisation",
]


class LogFilterForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), required=False, empty_label=None)
    noun = forms.ChoiceField(
        label="About", required=False, choices=[("", "everything"), *((noun, f"{noun}s") for noun in NOUNS)]
    )
    text = forms.CharField(label="Name, person or digest", required=False, max_length=200)
    since = forms.DateField(label="From (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, organisations: QuerySet[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["organisation"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101
        choice.queryset = organisations
        if len(organisations) < 2:
            del self.fields["organisation"]
