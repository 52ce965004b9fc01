"""The plan form: choices depend on the version, so the page asks for the form anew when another one is chosen."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import cached_property

from audits.models import Plan, RegisteredModel
from audits.services.plans.checks import check
from audits.services.plans.drafting import auditable_versions, usable_models
from audits.services.plans.reference_suggestions import Suggestion, Verdict, suggest_references
from audits.services.plans.values import MOST_DECOYS_PLANNED, PlanError, PlanValues, name_for, sets_of
from provenance.models import Release, User, Version

_PLAIN_ONLY = ("decoys", "exceedances")
_ASSOCIATED_ONLY = ("group_images", "permutations")
_TONES = {Verdict.MAY_SERVE: "good", Verdict.BETTER_NOT: "warn", Verdict.CANNOT: "bad"}


class PlanForm(forms.Form):
    version = forms.ModelChoiceField(
        Version.objects.none(),
        label="Dataset version",
        empty_label="Choose a version",
        help_text="Probes are drawn from its unmarked images.",
    )
    releases = forms.ModelMultipleChoiceField(
        Release.objects.none(),
        label="Releases to test for",
        widget=forms.CheckboxSelectMultiple,
        help_text="Several ask whose copy was used; their p-values are corrected together.",
    )
    suspect = forms.ModelChoiceField(RegisteredModel.objects.none(), label="Suspect", empty_label="Choose a suspect")
    references = forms.ModelMultipleChoiceField(
        RegisteredModel.objects.none(),
        label="References",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Models declared never to have seen a release. Two or three make the test sharper. Each is tested "
        "itself, at both tails. A suspect that came out clean is no reference: that is no acquittal.",
    )
    level = forms.ChoiceField(
        label="Level that decides",
        choices=Plan.Level.choices,
        widget=forms.RadioSelect,
        initial=Plan.Level.FEATURES,
        help_text="All levels that the suspect returns are measured from the same answers; this one decides.",
    )
    further_primary = forms.MultipleChoiceField(
        label="Further levels that decide",
        choices=Plan.Level.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Each can bring evidence by itself, and each makes the correction stricter for all. Levels that you "
        "leave out are measured and shown all the same, but never decide.",
    )
    counted = forms.ChoiceField(
        label="The p that counts",
        choices=[("without", "without references"), ("with", "with the references regressed out")],
        widget=forms.RadioSelect,
        initial="without",
        help_text="Both are always reported.",
    )
    probes = forms.IntegerField(label="Probes", min_value=10, max_value=100_000, initial=300)
    group_images = forms.IntegerField(
        label="Clean images per group", min_value=1, max_value=10_000, initial=50,
        help_text="What the pull is measured towards.",
    )  # fmt: skip
    permutations = forms.IntegerField(
        label="Permutations", min_value=1_000, max_value=100_000_000, initial=1_000_000,
        help_text="They cost no forward passes. With nine groups or fewer all assignments are taken.",
    )  # fmt: skip
    decoys = forms.IntegerField(
        label="Decoy keys", min_value=5, max_value=MOST_DECOYS_PLANNED, initial=199,
        help_text="For plain marks: the true key is ranked among at most so many decoys. Each costs as many forward "
        "passes as there are probes.",
    )  # fmt: skip
    exceedances = forms.IntegerField(
        label="Stop after so many exceedances", min_value=0, max_value=MOST_DECOYS_PLANNED, initial=20,
        help_text="For plain marks: the run ends once so many decoys are at least as extreme as the true key; "
        "0 for never.",
    )  # fmt: skip
    alpha = forms.FloatField(label="Alpha", min_value=1e-9, max_value=0.1, initial=0.01)
    series_is_open = forms.BooleanField(
        label="More runs may follow, as many as it takes", required=False,
        help_text="Leave it empty where the number of runs is settled. An open series multiplies the p of run number n "
        "by n (n + 1), so that an innocent model stays below alpha however often it is run. All runs of a suspect "
        "against a release are of one kind.",
    )  # fmt: skip
    held_out = forms.ModelChoiceField(
        Version.objects.none(), label="Held-out images", required=False, empty_label="none",
        help_text="A version of images like the released ones that never left the house. Only the other verifiers, "
        "which are shown for comparison, ask about them; the test itself needs none.",
    )  # fmt: skip
    wrong_key_control = forms.BooleanField(
        label="Ask about a wrong key as a control", required=False, initial=True,
        help_text="Costs as many forward passes of the suspect as the true key.",
    )  # fmt: skip
    name = forms.CharField(
        label="Name of the plan", max_length=200, required=False, help_text="Drawn up if left empty."
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        versions = auditable_versions(user)
        models = usable_models(user)
        self._field("version").queryset = versions
        self._field("releases").queryset = self._releases(versions)
        self._field("held_out").queryset = self._others(versions)
        self._field("suspect").queryset = models.suspects()  # type: ignore[attr-defined]
        self._field("references").queryset = models.references()  # type: ignore[attr-defined]
        self._field("releases").label_from_instance = release_label
        self._leave_out_what_no_release_needs()
        self._field("suspect").label_from_instance = model_label
        self._field("references").label_from_instance = model_label

    def _leave_out_what_no_release_needs(self) -> None:
        """Decoys are of use for plain marks only; permutations and images of groups for associated ones only."""
        ways = {settings.is_plain for release in self._field("releases").queryset for settings in sets_of(release)}
        left_out = [] if True in ways else list(_PLAIN_ONLY)
        left_out += list(_ASSOCIATED_ONLY) if ways == {True} else []
        for name in left_out:
            del self.fields[name]

    def _field(self, name: str) -> Any:
        return self.fields[name]

    def _releases(self, versions: Any) -> Any:
        """Ready releases of the version that is chosen at the moment."""
        version = versions.filter(pk=self._id_of("version")).first()
        if version is None:
            return Release.objects.none()
        ready = Release.objects.ready().filter(version=version)
        return ready.select_related("key", "version__dataset").order_by("recipient")

    def _others(self, versions: Any) -> Any:
        """Versions other than the one that is audited."""
        return versions.exclude(pk=self._id_of("version"))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check(self.values)
            except PlanError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @cached_property
    def reference_choices(self) -> list["ReferenceChoice"]:
        """Every reference with what speaks for it and against it, once a suspect is chosen; the best first."""
        chosen = {str(getattr(value, "pk", value)) for value in self["references"].value() or ()}
        suspects = self._field("suspect").queryset
        suspect = suspects.filter(pk=self._id_of("suspect")).select_related("organisation").first()
        if suspect is None:
            models = self._field("references").queryset
            return [ReferenceChoice(model, str(model.pk) in chosen) for model in models]
        wanted = {str(value) for value in self["releases"].value() or ()}
        releases = [release for release in self._field("releases").queryset if str(release.pk) in wanted]
        levels = {self["level"].value(), *(self["further_primary"].value() or ())}
        ordered = [level for level in Plan.Level.values if level in levels]
        found = suggest_references(suspect, releases, ordered, self.user)
        return [ReferenceChoice(one.model, str(one.model.pk) in chosen, one) for one in found]

    def _id_of(self, name: str) -> Any:
        value = self[name].value()
        return getattr(value, "pk", value) if _is_id(value) else None

    @cached_property
    def values(self) -> PlanValues:
        """The plan that a complete form describes."""
        data = self.cleaned_data
        return PlanValues(
            name=data["name"] or name_for(data["suspect"], data["version"], list(data["releases"])),
            version=data["version"],
            releases=list(data["releases"]),
            suspect=data["suspect"],
            references=list(data["references"]),
            level=data["level"],
            further_primary=data["further_primary"],
            probes=data["probes"],
            **{name: data[name] for name in (*_PLAIN_ONLY, *_ASSOCIATED_ONLY) if name in data},
            alpha=data["alpha"],
            series_is_open=data["series_is_open"],
            held_out=data["held_out"],
            decide_with_references=data["counted"] == "with",
            wrong_key_control=data["wrong_key_control"],
        )


@dataclass(frozen=True)
class ReferenceChoice:
    """One line of the list of references."""

    model: RegisteredModel
    is_checked: bool
    suggestion: Suggestion | None = None

    @property
    def label(self) -> str:
        return model_label(self.model)

    @property
    def is_barred(self) -> bool:
        return self.suggestion is not None and self.suggestion.verdict is Verdict.CANNOT

    @property
    def verdict(self) -> str:
        return self.suggestion.verdict.words if self.suggestion else ""

    @property
    def tone(self) -> str:
        return _TONES[self.suggestion.verdict] if self.suggestion else ""

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.suggestion.reasons if self.suggestion else ()


def initial_of(values: PlanValues) -> dict[str, Any]:
    """What the form shows for a saved draft."""
    return {
        "version": values.version,
        "releases": [release.pk for release in values.releases],
        "suspect": values.suspect,
        "references": [reference.pk for reference in values.references],
        "level": values.level,
        "further_primary": list(values.further_primary),
        "counted": "with" if values.decide_with_references else "without",
        "probes": values.probes,
        "group_images": values.group_images,
        "permutations": values.permutations,
        "decoys": values.decoys,
        "exceedances": values.exceedances,
        "alpha": values.alpha,
        "series_is_open": values.series_is_open,
        "held_out": values.held_out,
        "wrong_key_control": values.wrong_key_control,
        "name": values.name,
    }


def release_label(release: Release) -> str:
    sets = " and ".join(
        "a plain mark" if settings.is_plain else f"marks in {len(settings.groups)} groups"
        for settings in sets_of(release)
    )
    return f"{release.recipient} ({release.marked_count:,} images with {sets})"


def model_label(model: RegisteredModel) -> str:
    levels = ", ".join(model.spec.get("returns", []))
    return f"{model.name} ({levels})"


def _is_id(value: Any) -> bool:
    import uuid

    try:
        uuid.UUID(str(getattr(value, "pk", value)))
    except ValueError:
        return False
    return True
