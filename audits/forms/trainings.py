"""The form of a training run."""

from typing import Any

from django import forms

from audits.forms.searched import Found, SearchedField
from audits.forms.settings import METHOD_CHOICES, set_bounds
from audits.models import RegisteredModel
from audits.pilots.recipe import TrainingSettings
from audits.services.trainings import starting as service
from provenance.errors import TouchmarkError
from provenance.models import Release, User, Version


class TrainingForm(forms.Form):
    name = forms.CharField(label="Name of the model", max_length=200)
    version = SearchedField(
        Version.objects.none(), label="Version", empty_label=None, searched=("dataset__name", "number")
    )
    release = SearchedField(
        Release.objects.none(),
        label="Trained on",
        required=False,
        empty_label="The unmarked images of the version",
        help_text="A copy of that version shows what a suspect would have learnt. A reference never sees one.",
        searched=("recipient",),
        error_messages={"invalid_choice": "Train on a ready release of this version."},
    )
    becomes = forms.ChoiceField(label="Becomes a", choices=service.ROLES, widget=forms.RadioSelect)
    method = forms.ChoiceField(label="Method", choices=METHOD_CHOICES)
    begin_with = SearchedField(
        RegisteredModel.objects.none(),
        label="Begins with",
        required=False,
        empty_label="Random weights",
        searched=("name",),
        help_text="A model that was trained here, whose weights are tuned further; the network must be the same.",
    )
    class_names = forms.CharField(
        label="Class names for the labels of CLIP",
        required=False,
        help_text="With commas between them. Without any, a CLIP model answers with features alone.",
    )
    epochs = forms.IntegerField(label="Epochs")
    batch_size = forms.IntegerField(label="Images per step")
    learning_rate = forms.FloatField(label="Learning rate")
    encoder = forms.CharField(
        label="Network",
        required=False,
        help_text="small_resnet:WIDTH, cifar_resnet:DEPTH or timm:NAME. CLIP has its own.",
    )
    side = forms.IntegerField(label="Side of the images, in pixels", help_text="CLIP has its own, 48.")

    SEARCHED = ("version", "release", "begin_with")
    ADVANCED = ("epochs", "batch_size", "learning_rate", "encoder", "side")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        usual: dict[str, Any] = {"epochs": 100, "batch_size": 128, "learning_rate": 1e-3, "side": service.SIDE}
        usual |= {"method": "simclr", "becomes": RegisteredModel.ModelRole.REFERENCE, "encoder": service.ENCODER}
        kwargs["initial"] = usual | dict(kwargs.get("initial", {}))
        super().__init__(*args, **kwargs)
        set_bounds(self, TrainingSettings, self.ADVANCED)
        fields: dict[str, Any] = self.fields
        versions = service.may_train_on(user)
        fields["version"].queryset = versions
        if not self.is_bound and not self.initial.get("version"):
            self.initial["version"] = versions.first()
        chosen = fields["version"].row_of(self["version"].value())
        fields["release"].queryset = Release.objects.ready().filter(version=chosen).order_by("recipient", "pk")
        fields["release"].label_from_instance = lambda one: f"The copy for {one.recipient}"
        fields["begin_with"].queryset = service.may_be_tuned(user).order_by("name", "pk")

    def found(self, name: str, text: str = "") -> Found:
        """What the page shows of the rows that a field of `SEARCHED` takes."""
        field = self.fields[name]
        assert isinstance(field, SearchedField)  # noqa: S101 - narrows the type
        return field.found(self[name].value(), text)

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.ADVANCED]

    def clean_class_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.cleaned_data["class_names"].split(",") if name.strip())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                cleaned["settings"] = self._settings(cleaned)
            except TouchmarkError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    def _settings(self, data: dict[str, Any]) -> TrainingSettings:
        given = {name: data[name] for name in ("epochs", "batch_size", "learning_rate")}
        encoder = data["encoder"] if data["method"] != "clip" else ""
        return service.settings_for({"name": data["method"]}, encoder, data["side"], **given)
