"""The form of a calibration."""

from typing import Any

from django import forms
from django.utils.functional import cached_property

from audits.calibration.rounds import CalibrationError
from audits.models import RegisteredModel
from audits.services.calibrations import starting as service
from audits.services.plans.drafting import auditable_versions
from provenance.marks import families
from provenance.models import Organisation, User, Version


class CalibrationForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label="For", empty_label=None)
    families = forms.MultipleChoiceField(
        label="Mark families",
        widget=forms.CheckboxSelectMultiple,
        help_text="Each has rounds and a part of the table of its own.",
    )
    rounds = forms.IntegerField(
        label="Rounds of each family", min_value=1, max_value=service.MOST_ROUNDS,
        help_text="A round draws probes, keys and null models anew.",
    )  # fmt: skip
    pairs = forms.IntegerField(
        label="Pairs in each round", min_value=1, max_value=service.MOST_PAIRS,
        help_text="A pair is a null model and a key; it costs no forward pass.",
    )  # fmt: skip
    models = forms.IntegerField(
        label="Null models in each round", min_value=3, max_value=service.MOST_MODELS,
        help_text="Tiny networks of six kinds: fresh ones, and ones trained on other data.",
    )  # fmt: skip
    version = forms.ModelChoiceField(
        Version.objects.none(), label="Images", required=False, empty_label="Procedural scenes, which need no data",
        help_text="Probes and group images; nobody trains on marked ones here.",
    )  # fmt: skip
    references = forms.ModelMultipleChoiceField(
        RegisteredModel.objects.none(),
        label="Registered references that join the null models",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Each is asked in every round, in its confined process.",
    )
    seed = forms.IntegerField(
        label="Seed", required=False, min_value=0, max_value=service.SEEDS - 1,
        help_text="Drawn at random if left empty. The same seed, code and settings give the same table.",
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        usual = service.Wanted()
        initial = {"families": usual.families, "rounds": usual.rounds, "pairs": usual.pairs, "models": usual.models}
        kwargs["initial"] = initial | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        self._field("families").choices = [(name, family.title) for name, family in families().items()]
        self._field("organisation").queryset = user.organisations(*service.ROLES)
        self._field("version").queryset = auditable_versions(user).filter(
            file_count__gte=service.least_stock(service.BENCH)
        )
        self._field("references").queryset = service.usable_references(user)

    def _field(self, name: str) -> Any:
        return self.fields[name]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                service.check(self.wanted)
            except CalibrationError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @cached_property
    def wanted(self) -> service.Wanted:
        """What a complete form asks for."""
        data = self.cleaned_data
        return service.Wanted(
            families=tuple(data["families"]),
            rounds=data["rounds"],
            models=data["models"],
            pairs=data["pairs"],
            seed=data["seed"],
            version=data["version"],
            references=list(data["references"]),
        )
