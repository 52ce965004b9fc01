"""The plan form: choices depend on the version, so the page asks for the form anew when another one is chosen."""

from typing import Any

from django import forms
from django.utils.functional import cached_property

from audits.models import Plan, RegisteredModel
from audits.services.plans import MOST_DECOYS_PLANNED, PlanError, PlanValues, auditable_versions, check, usable_models
from provenance.models import Release, User, Version

_PLAIN_ONLY = ("decoys", "exceedances")
_ASSOCIATED_ONLY = ("group_images", "permutations")


class PlanForm(forms.Form):
    version = forms.ModelChoiceField(
        Version.objects.none(), label="Dataset version", help_text="Probes are drawn from its unmarked images."
    )
    releases = forms.ModelMultipleChoiceField(
        Release.objects.none(),
        label="Releases to test for",
        widget=forms.CheckboxSelectMultiple,
        help_text="Several ask whose copy was used; their p-values are corrected together.",
    )
    suspect = forms.ModelChoiceField(RegisteredModel.objects.none(), label="Suspect")
    references = forms.ModelMultipleChoiceField(
        RegisteredModel.objects.none(),
        label="References",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Models declared never to have seen a release. Each is tested itself, at both tails.",
    )
    level = forms.ChoiceField(
        label="Level that decides",
        choices=Plan.Level.choices,
        widget=forms.RadioSelect,
        initial=Plan.Level.FEATURES,
        help_text="All levels that the suspect returns are measured from the same answers; this one decides.",
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
        self._field("suspect").queryset = models.suspects()  # type: ignore[attr-defined]
        self._field("references").queryset = models.references()  # type: ignore[attr-defined]
        self._field("releases").label_from_instance = release_label
        self._leave_out_what_no_release_needs()
        self._field("suspect").label_from_instance = model_label
        self._field("references").label_from_instance = model_label

    def _leave_out_what_no_release_needs(self) -> None:
        """Decoys are of use for plain marks only; permutations and images of groups for associated ones only."""
        ways = {release.is_plain for release in self._field("releases").queryset}
        left_out = [] if True in ways else list(_PLAIN_ONLY)
        left_out += list(_ASSOCIATED_ONLY) if ways == {True} else []
        for name in left_out:
            del self.fields[name]

    def _field(self, name: str) -> Any:
        return self.fields[name]

    def _releases(self, versions: Any) -> Any:
        """Ready releases of the version that is chosen at the moment."""
        chosen = self.data.get("version") if self.is_bound else self.initial.get("version")
        version = versions.filter(pk=getattr(chosen, "pk", chosen) or None).first() if _is_id(chosen) else None
        if version is None:
            return Release.objects.none()
        ready = Release.objects.ready().filter(version=version)
        return ready.select_related("key", "version__dataset").order_by("recipient")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                check(self.values)
            except PlanError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @cached_property
    def values(self) -> PlanValues:
        """The plan that a complete form describes."""
        data = self.cleaned_data
        return PlanValues(
            name=data["name"] or f"{data['suspect'].name} against {data['version']}"[:200],
            version=data["version"],
            releases=list(data["releases"]),
            suspect=data["suspect"],
            references=list(data["references"]),
            level=data["level"],
            probes=data["probes"],
            **{name: data[name] for name in (*_PLAIN_ONLY, *_ASSOCIATED_ONLY) if name in data},
            alpha=data["alpha"],
            decide_with_references=data["counted"] == "with",
            wrong_key_control=data["wrong_key_control"],
        )


def initial_of(values: PlanValues) -> dict[str, Any]:
    """What the form shows for a saved draft."""
    return {
        "version": values.version,
        "releases": [release.pk for release in values.releases],
        "suspect": values.suspect,
        "references": [reference.pk for reference in values.references],
        "level": values.level,
        "counted": "with" if values.decide_with_references else "without",
        "probes": values.probes,
        "group_images": values.group_images,
        "permutations": values.permutations,
        "decoys": values.decoys,
        "exceedances": values.exceedances,
        "alpha": values.alpha,
        "wrong_key_control": values.wrong_key_control,
        "name": values.name,
    }


def release_label(release: Release) -> str:
    if release.is_plain:
        return f"{release.recipient} ({release.marked_count:,} images with a plain mark)"
    groups = len(release.key.settings.get("groups", []))
    return f"{release.recipient} ({release.marked_count:,} images marked in {groups} groups)"


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
