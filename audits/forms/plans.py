"""The plan form: choices depend on the version, so the page asks for the form anew when another one is chosen."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import cached_property

from audits.forms.plan_choices import choice_fields, choices_in, field_name, field_rows, said_of
from audits.models import RegisteredModel
from audits.planning.choices import CHOICES, in_order
from audits.services.plans.checks import check
from audits.services.plans.drafting import auditable_versions, usable_models
from audits.services.plans.reference_suggestions import Suggestion, Verdict, suggest_references
from audits.services.plans.values import PlanError, PlanValues, choice_of, name_for, sets_of, words_of
from provenance.models import Release, User, Version
from provenance.wording import count

_TONES = {Verdict.MAY_SERVE: "good", Verdict.BETTER_NOT: "warn", Verdict.CANNOT: "bad"}


class PlanForm(forms.Form):
    """The rows that a plan names, looked up by code of their own; its choices come from their declarations."""

    version = forms.ModelChoiceField(Version.objects.none(), empty_label="Choose a version", **said_of("version"))
    releases = forms.ModelMultipleChoiceField(
        Release.objects.none(), widget=forms.CheckboxSelectMultiple, **said_of("releases")
    )
    suspect = forms.ModelChoiceField(
        RegisteredModel.objects.none(), empty_label="Choose a suspect", **said_of("suspect")
    )
    references = forms.ModelMultipleChoiceField(
        RegisteredModel.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, **said_of("references")
    )
    held_out = forms.ModelChoiceField(Version.objects.none(), required=False, empty_label="none", **said_of("held_out"))
    name = forms.CharField(max_length=200, required=False, **said_of("name"))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = choice_fields()
        self.fields |= choices
        self.order_fields(["version", "releases", "suspect", "references", *choices])  # faults are listed in it
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
        """Decoys are of use for plain marks only; permutations and images of groups for associated ones only; views
        for keyed choices."""
        releases = list(self._field("releases").queryset)
        ways = {settings.is_plain for release in releases for settings in sets_of(release)}
        keyed_choice = any(choice_of(release) for release in releases)
        associated = False in ways or not (ways or keyed_choice)
        for choice in CHOICES:
            if not choice.is_needed(plain=True in ways, associated=associated, keyed_choice=keyed_choice):
                del self.fields[field_name(choice)]

    @property
    def rows(self) -> list["FormRow"]:
        """The choices below the references, as they stand beside each other."""
        asked = [(names, [self[name] for name in names if name in self.fields]) for names in field_rows()]
        return [FormRow(fields, is_shared=len(names) > 1) for names, fields in asked if fields]

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
        levels = in_order({self["level"].value(), *(self["further_primary"].value() or ())})
        score = self["membership_score"].value() if "membership_score" in self.fields else ""
        found = suggest_references(suspect, releases, levels, self.user, score)
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
            held_out=data["held_out"],
            **choices_in(data),
        )


@dataclass(frozen=True)
class FormRow:
    """Fields that stand beside each other; is_shared: it has room for several, though one may be left out."""

    fields: list[forms.BoundField]
    is_shared: bool


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


def release_label(release: Release) -> str:
    sets = " and ".join(
        "a plain mark" if settings.is_plain else f"marks in {len(settings.groups)} groups"
        for settings in sets_of(release)
    )
    words = words_of([release])
    choice = words.on_form if words else ""
    marked = f"{count(release.marked_count)} images with {sets}" if sets else ""
    return f"{release.recipient} ({' and '.join(filter(None, [marked, choice]))})"


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
