"""The form of one mark set: family, way of marking, strength, groups, and what its test must be able to reach."""

from collections.abc import Container
from typing import Any

from django import forms

from provenance.errors import TouchmarkError
from provenance.marks import PRESETS, MarkSettings, SettingsError, check_reach, families, get_family
from provenance.marks.bans import read_bans
from provenance.marks.presets import SMALL_EDGE, small_jpeg_words
from provenance.marks.settings import MAX_FINEST, MIN_FINEST, MIN_PLAIN_CELLS, OPTION_NAMES
from provenance.models import Clusters, Version
from provenance.services.image_sizes import images_below
from provenance.services.release_plans import MAX_CLASSES, default_classes, within_sizes

DEFAULT_ALPHA = 0.05
ASSOCIATIONS = [
    ("associated", "Associated: every group of images has its own pattern, and which one is the secret"),
    ("plain", "Plain: one secret pattern on images of any kind, without groups"),
]
GROUPINGS = [
    ("class", "Classes: the images' labels"),
    ("word", "Words: captions that contain the word"),
    ("cluster", "Clusters: what an encoder found to look alike; no labels are needed"),
]
_PRESET_OPTIONS = ("side", "opacity", "amplitude", "bend")
_PER_CENT = ("share", "side", "opacity", "bend")
_AS_IT_IS = ("cells", "amplitude", "periods", "finest")
DEFAULT_FACTOR = 2.0
_RESTRICTIONS = ("by_size", "size_factor", "forbidden")
_OF_GROUPS = ("group_by", "groups", *_RESTRICTIONS)  # plain marks have none of these
_NAMES_HELP = {
    "class": f"One a line. Leave it empty to take the classes (the {MAX_CLASSES} largest, where there are more).",
    "word": "One word or phrase of the captions a line.",
    "cluster": "One a line, as in “cluster 1”. Leave it empty to take all clusters.",
}


def decimal_input() -> forms.NumberInput:
    return forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"})


class MarkForm(forms.Form):
    """One mark set, told apart from the others by the form's prefix. It has the fields of what was chosen alone.

    version: the one that is to be marked, whose clusters can be chosen; None where none is chosen yet.
    """

    association = forms.ChoiceField(
        label="Way of marking", choices=ASSOCIATIONS, initial="associated", required=False, widget=forms.RadioSelect
    )
    family = forms.ChoiceField(label="Family of marks", initial="patch", required=False)
    preset = forms.ChoiceField(label="Strength", initial="balanced", widget=forms.RadioSelect)
    group_by = forms.ChoiceField(label="Groups", choices=GROUPINGS, initial="class", widget=forms.RadioSelect)
    groups = forms.CharField(
        label="Names of the groups",
        required=False,
        widget=forms.Textarea(attrs={"spellcheck": "false"}),
    )
    clusters = forms.ModelChoiceField(
        queryset=Clusters.objects.none(),
        label="Clusters",
        required=False,
        empty_label="None chosen",
        error_messages={"invalid_choice": "These clusters are those of another version; choose clusters of this one."},
    )
    share = forms.FloatField(
        label="Share of images, in per cent", required=False, min_value=0.01, max_value=100, widget=decimal_input()
    )
    side = forms.FloatField(
        label="Side of the patch, in per cent of the short edge",
        required=False,
        min_value=12.5,
        max_value=25,
        widget=decimal_input(),
    )
    opacity = forms.FloatField(
        label="Opacity, in per cent", required=False, min_value=30, max_value=100, widget=decimal_input()
    )
    cells = forms.IntegerField(
        label="Colour blocks per side",
        required=False,
        min_value=2,
        max_value=8,
        help_text="4 where it is empty.",
    )
    amplitude = forms.FloatField(
        label="Amplitude, in grey levels", required=False, min_value=2, max_value=64, widget=decimal_input()
    )
    bend = forms.FloatField(
        label="Bend, in per cent of the short edge", required=False, min_value=1, max_value=10, widget=decimal_input()
    )
    periods = forms.IntegerField(
        label="Periods across the short edge",
        required=False,
        min_value=1,
        max_value=64,
    )
    finest = forms.IntegerField(
        label="Finest waves, as DCT coefficient",
        required=False,
        min_value=MIN_FINEST,
        max_value=MAX_FINEST,
        help_text=f"{MAX_FINEST} where it is empty. Lower where JPEG files of few pixels hold colour at half of them, "
        "which carries no fine wave.",
    )
    by_size = forms.BooleanField(
        label="Exchange patterns only between groups of similar size",
        required=False,
        help_text="Where groups differ much in size, their marks differ in strength. Then the test compares only "
        "within size classes; fewer assignments are possible, so the smallest reachable p grows.",
    )
    size_factor = forms.FloatField(
        label="How much larger a group may be than the smallest of its size class",
        required=False,
        min_value=1,
        max_value=1000,
        widget=decimal_input(),
        help_text="As a factor; 2 where it is empty. It counts only where patterns are exchanged by size.",
    )
    forbidden = forms.CharField(
        label="Patterns that must not mark a group",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="One a line: a pattern’s number, a colon, a group’s name, as in “2: dog”. There are as many patterns "
        "as groups, counted from 1; the secret assignment is then drawn, and tested, among what is left.",
    )
    alpha = forms.FloatField(
        label="Alpha that an audit must be able to reach",
        required=False,
        widget=decimal_input(),
        help_text="0.05 where it is empty. Settings whose test could not come to it are refused.",
    )

    def __init__(self, *args: Any, version: Version | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("share", *_PRESET_OPTIONS):
            self.fields[name].help_text = "The preset's value where it is empty."
        self._choices("family", [(name, f"{family.title} ({name})") for name, family in families().items()])
        self._version = version
        self.family_name = self._chosen("family", families())
        self.is_plain = self._chosen("association", dict(ASSOCIATIONS)) == "plain"
        way = "plain" if self.is_plain else "associated"
        presets = [(p.name, f"{p.title}: {p.describe(self.family_name, way)}") for p in PRESETS.values()]
        self._choices("preset", presets)
        self.unused = [name for name in OPTION_NAMES if name not in get_family(self.family_name).options]
        self.grouping = "" if self.is_plain else self._chosen("group_by", dict(GROUPINGS))
        self.offered = list(Clusters.objects.filter(version=version)) if self.grouping == "cluster" else []
        self.unused += _OF_GROUPS if self.is_plain else []
        self.unused += [] if self.offered else ["clusters"]
        for name in self.unused:
            del self.fields[name]
        if self.grouping:
            self.fields["groups"].help_text = _NAMES_HELP[self.grouping]
            self.fields["groups"].widget.attrs["rows"] = 12 if self.grouping == "word" else 4  # the words stand beside
        if self.offered:
            self._choices_of_clusters(version)
        if "periods" in self.fields:
            pixels = MarkSettings(family=self.family_name, association="plain").least_edge
            self.fields["periods"].help_text = (
                f"1 where it is empty. Every period needs {pixels} pixels: smaller images cannot carry this mark, and "
                "a model with smaller inputs cannot see it."
            )
        if self.is_plain and "cells" in self.fields:
            self._choices_of_plain_patch()

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]

    def _choices_of_clusters(self, version: Version | None) -> None:
        """Those of the version; the only ones are chosen already."""
        field: forms.ModelChoiceField = self.fields["clusters"]  # type: ignore[assignment]
        field.empty_label = None if len(self.offered) == 1 else field.empty_label
        field.queryset = Clusters.objects.filter(version=version)

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
        chosen = self.data.get(self.add_prefix(name)) if self.is_bound else self.initial.get(name)
        return chosen if isinstance(chosen, str) and chosen in known else str(self.fields[name].initial)

    @property
    def jpeg_note(self) -> str:
        """What JPEG takes of this mark where most images of the version are small; nothing elsewhere."""
        version = self._version
        if version is None or images_below(version, SMALL_EDGE) <= version.file_count / 2:
            return ""
        return small_jpeg_words(self.family_name, "plain" if self.is_plain else "associated")

    @property
    def number(self) -> int:
        """Which mark set of the release it is, from 1."""
        return int(str(self.prefix).removeprefix("set-"))

    @property
    def title(self) -> str:
        return f"Mark set {self.number}"

    @property
    def option_fields(self) -> list[forms.BoundField]:
        """Share, the family's own options, restrictions and alpha, as they stand under "Advanced settings"."""
        names = ("share", *OPTION_NAMES, *_RESTRICTIONS, "alpha")
        return [self[name] for name in names if name in self.fields]

    @property
    def is_adjusted(self) -> bool:
        return any(field.value() or field.errors for field in self.option_fields)

    def clean(self) -> dict[str, Any]:
        super().clean()
        for name in self.unused:
            if name in OPTION_NAMES and str(self.data.get(self.add_prefix(name)) or "").strip():
                self.add_error(None, f"The family '{self.family_name}' has no {name}; leave it out.")
        return self.cleaned_data

    def mark(self, version: Version) -> MarkSettings | None:
        """The settings for this version; None where something stands in their way, which `errors` then says."""
        if not self.is_valid():
            return None
        alpha = self.cleaned_data["alpha"]
        try:
            mark = self._settings(version)
            check_reach(mark, DEFAULT_ALPHA if alpha is None else alpha)
        except TouchmarkError as error:
            self.add_error(None, error.sentence)
            return None
        return mark

    def _settings(self, version: Version) -> MarkSettings:
        values = self.cleaned_data
        changes = {name: values[name] / 100 for name in _PER_CENT if values.get(name) is not None}
        changes |= {name: values[name] for name in _AS_IT_IS if values.get(name) is not None}
        association = "plain" if self.is_plain else "associated"
        names, group_by = self._group_names(version), values.get("group_by", "class")
        if group_by == "cluster":
            changes["clusters"] = self._chosen_clusters().digest
        preset = PRESETS[values["preset"]]
        mark = preset.settings(names, group_by, self.family_name, association=association, **changes)
        if values.get("by_size"):
            factor = values.get("size_factor")
            mark = within_sizes(version, mark, DEFAULT_FACTOR if factor is None else factor)
        bans = read_bans(values.get("forbidden", "").splitlines(), mark.groups)
        return mark.replace(forbidden=bans) if bans else mark

    def _group_names(self, version: Version) -> tuple[str, ...]:
        """As the person wrote them; all clusters, or the version's classes, where they named none."""
        written = self.cleaned_data.get("groups", "").splitlines()
        names = tuple(" ".join(line.split()) for line in written if line.strip())
        if not names and not self.is_plain and self.cleaned_data["group_by"] == "cluster":
            return self._chosen_clusters().names
        if names or self.is_plain or self.cleaned_data["group_by"] != "class":
            return names
        if not (classes := default_classes(version)):
            raise SettingsError(
                "This version has no labels. Group its images by words of their captions or by an encoder, add labels "
                "to them, or choose plain marks, which need no groups."
            )
        return tuple(classes)

    def _chosen_clusters(self) -> Clusters:
        if not self.offered:
            raise SettingsError("This version has no clusters yet. Group its images by an encoder first.")
        if len(self.offered) == 1:
            return self.offered[0]
        if self.cleaned_data["clusters"] is None:
            raise SettingsError("Choose the clusters that are to be the groups.")
        chosen: Clusters = self.cleaned_data["clusters"]
        return chosen
