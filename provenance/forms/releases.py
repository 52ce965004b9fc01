from collections.abc import Container
from typing import Any

from django import forms
from django.db.models import QuerySet

from provenance.marks import PRESETS, MarkSettings, SettingsError, check_reach, families, get_family
from provenance.marks.settings import MIN_PLAIN_CELLS, OPTION_NAMES
from provenance.models import Role, User, Version, WatermarkKey
from provenance.services.releases import MAX_CLASSES, MAX_RECIPIENTS, default_classes

DEFAULT_ALPHA = 0.05
_PRESET_OPTIONS = ("side", "opacity", "amplitude", "bend")
_PER_CENT = ("share", "side", "opacity", "bend")
_AS_IT_IS = ("cells", "amplitude", "periods")


def _decimal() -> forms.NumberInput:
    return forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})


class MarkForm(forms.Form):
    """Version and mark settings: what the live plan needs. It has the fields of the chosen family and way alone."""

    version = forms.ModelChoiceField(queryset=Version.objects.none(), empty_label=None)
    association = forms.ChoiceField(
        label="Way of marking",
        choices=[
            ("associated", "Associated: every group of images has its own pattern, and which one is the secret"),
            ("plain", "Plain: one secret pattern on images of any kind, without groups"),
        ],
        initial="associated",
        required=False,
        widget=forms.RadioSelect,
    )
    family = forms.ChoiceField(label="Family of marks", initial="patch", required=False)
    preset = forms.ChoiceField(label="Strength", initial="balanced", widget=forms.RadioSelect)
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
        label="Share of images, in per cent", required=False, min_value=0.01, max_value=100, widget=_decimal()
    )
    side = forms.FloatField(
        label="Side of the patch, in per cent of the short edge",
        required=False,
        min_value=12.5,
        max_value=25,
        widget=_decimal(),
    )
    opacity = forms.FloatField(
        label="Opacity, in per cent", required=False, min_value=30, max_value=100, widget=_decimal()
    )
    cells = forms.IntegerField(
        label="Colour blocks per side",
        required=False,
        min_value=2,
        max_value=8,
        help_text="4 where it is empty.",
    )
    amplitude = forms.FloatField(
        label="Amplitude, in grey levels", required=False, min_value=2, max_value=64, widget=_decimal()
    )
    bend = forms.FloatField(
        label="Bend, in per cent of the short edge", required=False, min_value=1, max_value=10, widget=_decimal()
    )
    periods = forms.IntegerField(
        label="Periods across the short edge",
        required=False,
        min_value=1,
        max_value=64,
        help_text="1 where it is empty.",
    )
    alpha = forms.FloatField(
        label="Alpha that an audit must be able to reach",
        required=False,
        widget=_decimal(),
        help_text="0.05 where it is empty. Settings whose test could not come to it are refused.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["version"].queryset = markable_versions(user)  # type: ignore[attr-defined]
        for name in ("share", *_PRESET_OPTIONS):
            self.fields[name].help_text = "The preset's value where it is empty."
        self._choices("family", [(name, f"{family.title} ({name})") for name, family in families().items()])
        self.family_name = self._chosen("family", families())
        self.is_plain = self._chosen("association", ("associated", "plain")) == "plain"
        presets = [(p.name, f"{p.title}: {p.describe(self.family_name)}") for p in PRESETS.values()]
        self._choices("preset", presets)
        self.unused = [name for name in OPTION_NAMES if name not in get_family(self.family_name).options]
        self.unused += ["group_by", "groups"] if self.is_plain else []
        for name in self.unused:
            del self.fields[name]
        if self.is_plain and "cells" in self.fields:
            self._choices_of_plain_patch()

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _choices_of_plain_patch(self) -> None:
        self.fields["cells"] = forms.IntegerField(
            label="Colour blocks per side",
            required=False,
            min_value=MIN_PLAIN_CELLS,
            max_value=8,
            help_text="4 where it is empty. Fewer would leave too few keys to draw decoys from.",
        )

    def _chosen(self, name: str, known: Container[str]) -> str:
        """What the person chose at the moment; the first choice where they chose nothing that there is."""
        source = self.data if self.is_bound else self.initial
        chosen = source.get(name)
        return chosen if isinstance(chosen, str) and chosen in known else str(self.fields[name].initial)

    @property
    def option_fields(self) -> list[forms.BoundField]:
        """Share, the family's own options and alpha, as they stand under "Advanced settings"."""
        return [self[name] for name in ("share", *OPTION_NAMES, "alpha") if name in self.fields]

    @property
    def is_adjusted(self) -> bool:
        return any(field.value() or field.errors for field in self.option_fields)

    def clean(self) -> dict[str, Any]:
        super().clean()
        values = self.cleaned_data
        for name in self.unused:
            if name in OPTION_NAMES and str(self.data.get(name) or "").strip():
                self.add_error(None, f"The family '{self.family_name}' has no {name}; leave it out.")
        if not self.errors:
            try:
                values["mark"] = self._mark(values)
                alpha = values["alpha"]
                check_reach(values["mark"], DEFAULT_ALPHA if alpha is None else alpha)
            except SettingsError as error:
                self.add_error(None, error.sentence)
        return values

    def _mark(self, values: dict[str, Any]) -> MarkSettings:
        names = [" ".join(line.split()) for line in values.get("groups", "").splitlines() if line.strip()]
        group_by = values.get("group_by", "class")
        if not names and group_by == "class" and not self.is_plain:
            names = default_classes(values["version"])
            if not names:
                raise SettingsError(
                    "This version has no labels. Group its images by words of their captions, add labels to them, "
                    "or choose plain marks, which need no groups."
                )
        changes = {name: values[name] / 100 for name in _PER_CENT if values.get(name) is not None}
        changes |= {name: values[name] for name in _AS_IT_IS if values.get(name) is not None}
        association = "plain" if self.is_plain else "associated"
        preset = PRESETS[values["preset"]]
        return preset.settings(tuple(names), group_by, self.family_name, association=association, **changes)


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
