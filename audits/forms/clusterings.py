"""The form of a clustering: which version, by which encoder, into how many groups."""

from typing import Any

from django import forms

from audits.models import RegisteredModel
from provenance.forms.releases import markable_versions
from provenance.marks.settings import MAX_GROUPS, MIN_GROUPS
from provenance.models import Role, User, Version

USUAL_GROUPS = 10


class ClusteringForm(forms.Form):
    version = forms.ModelChoiceField(Version.objects.none(), empty_label=None)
    encoder = forms.ModelChoiceField(
        RegisteredModel.objects.none(),
        empty_label=None,
        help_text="One of your own that has passed its connection test. Any image encoder with features will do: "
        "groups only need to look different from each other to a model.",
    )
    groups = forms.IntegerField(
        label="Number of clusters",
        min_value=MIN_GROUPS,
        max_value=MAX_GROUPS,
        initial=USUAL_GROUPS,
        help_text=f"{MIN_GROUPS} to {MAX_GROUPS}. All get the same number of images. More clusters let a test reach "
        "a smaller p, and cost an audit more questions.",
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**32 - 1,
        initial=1,
        help_text="The same seed gives the same clusters again; another one others.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]
        self.fields["encoder"].queryset = encoders_of(user)  # type: ignore[attr-defined]


def encoders_of(user: User) -> Any:
    """Tested encoders of the organisations in which the person is a rights-holder."""
    return RegisteredModel.objects.encoders().filter(organisation__in=user.organisations(Role.RIGHTS_HOLDER))
