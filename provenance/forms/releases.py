from typing import Any

from django import forms
from django.db.models import QuerySet

from provenance.marks import PRESETS, MarkSettings, SettingsError
from provenance.models import Role, User, Version, WatermarkKey
from provenance.services.releases import MAX_CLASSES, MAX_RECIPIENTS, default_classes


class MarkForm(forms.Form):
    """Version and mark settings: what the live plan needs."""

    version = forms.ModelChoiceField(queryset=Version.objects.none(), empty_label=None)
    preset = forms.ChoiceField(
        label="Strength",
        choices=[(preset.name, f"{preset.title}: {preset.description}") for preset in PRESETS.values()],
        initial="balanced",
        widget=forms.RadioSelect,
    )
    group_by = forms.ChoiceField(
        label="Groups",
        choices=[("class", "Classes: the images' labels"), ("word", "Words: captions that contain the word")],
        initial="class",
        widget=forms.RadioSelect,
    )
    groups = forms.CharField(
        label="Names of the groups",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=f"One a line. Leave it empty to take the classes (the {MAX_CLASSES} largest, where there are more).",
    )
    share = forms.FloatField(
        label="Share of each group's images, in per cent",
        required=False,
        min_value=0.01,
        max_value=100,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    side = forms.FloatField(
        label="Side of the patch, in per cent of the short edge",
        required=False,
        min_value=12.5,
        max_value=25,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    opacity = forms.FloatField(
        label="Opacity, in per cent",
        required=False,
        min_value=30,
        max_value=100,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    cells = forms.IntegerField(
        label="Colour blocks per side",
        required=False,
        min_value=2,
        max_value=8,
        help_text="4 where it is empty.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]
        for name in ("share", "side", "opacity"):
            self.fields[name].help_text = "The preset's value where it is empty."

    def clean(self) -> dict[str, Any]:
        super().clean()
        values = self.cleaned_data
        if not self.errors:
            try:
                values["mark"] = self._mark(values)
            except SettingsError as error:
                self.add_error(None, error.sentence)
        return values

    def _mark(self, values: dict[str, Any]) -> MarkSettings:
        names = [" ".join(line.split()) for line in values["groups"].splitlines() if line.strip()]
        if not names and values["group_by"] == "class":
            names = default_classes(values["version"])
            if not names:
                raise SettingsError(
                    "This version has no labels. Group its images by words of their captions, or add labels to them."
                )
        changes = {name: values[name] / 100 for name in ("share", "side", "opacity") if values[name] is not None}
        if values["cells"]:
            changes["cells"] = values["cells"]
        return PRESETS[values["preset"]].settings(tuple(names), values["group_by"], **changes)


class ReleaseForm(MarkForm):
    recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=f"One a line, at most {MAX_RECIPIENTS}. Each gets a release with a key of its own, so that an audit "
        "can say whose copy leaked.",
    )
    note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    key = forms.ModelChoiceField(
        queryset=WatermarkKey.objects.none(),
        required=False,
        empty_label="Draw a new key for each release",
        help_text="A key that was drawn before can mark one release.",
    )

    field_order = ("version", "recipients")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, user=user, **kwargs)
        drawn = WatermarkKey.objects.filter(state=WatermarkKey.State.DRAWN, version__in=markable_versions(user))
        self.fields["key"].queryset = drawn.select_related("version__dataset")  # type: ignore[attr-defined]
        if not drawn.exists():
            self.fields["key"].widget = forms.HiddenInput()

    def recipient_names(self) -> list[str]:
        return [line for line in self.cleaned_data["recipients"].splitlines() if line.strip()]


class DrawForm(forms.Form):
    version = forms.ModelChoiceField(queryset=Version.objects.none(), empty_label=None)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]


class DropForm(forms.Form):
    reason = forms.CharField(
        label="Why is it dropped?", max_length=300, help_text="The reason stays with the key, for everybody to see."
    )


def markable_versions(user: User) -> QuerySet[Version]:
    """Ready versions of the organisations in which the person is a rights-holder."""
    own = user.organisations(Role.RIGHTS_HOLDER)
    return Version.objects.ready().filter(dataset__organisation__in=own).select_related("dataset")
