"""The form of a pilot."""

from dataclasses import replace
from typing import Any

from django import forms
from django.utils.functional import cached_property

from audits.forms.settings import METHOD_CHOICES, set_bounds
from audits.pilots.pilot.settings import PilotError, PilotSettings, Proposal
from audits.services.pilots import starting as service
from provenance.errors import TouchmarkError
from provenance.forms.marks import ASSOCIATIONS
from provenance.marks import PRESETS, families
from provenance.models import Blocking, Clusters, User, Version


class PilotForm(forms.Form):
    version = forms.ModelChoiceField(Version.objects.none(), label="Version", empty_label=None)
    family = forms.ChoiceField(label="Family of marks", initial="patch")
    association = forms.ChoiceField(
        label="Way of marking",
        choices=ASSOCIATIONS,
        initial="associated",
        required=False,
        help_text="A plain mark's key is ranked among decoys, which takes many questions to every model.",
    )
    clusters = forms.ModelChoiceField(
        Clusters.objects.none(),
        label="Groups",
        required=False,
        empty_label="The version's classes",
        help_text="Of associated marks; a version's page makes clusters.",
    )
    strengths = forms.MultipleChoiceField(
        label="Strengths",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Each strength is tried by itself.",
    )
    blocking = forms.ModelChoiceField(
        Blocking.objects.none(),
        label="Blocks from which images stay home",
        required=False,
        empty_label="Nothing stays home",
        help_text="A version's page makes them.",
    )
    at_home = forms.CharField(
        label="Shares at home, in per cent",
        required=False,
        initial="5",
        help_text="With commas between them, as in “2, 5”; each is tried by itself. Used where blocks are chosen.",
    )
    methods = forms.MultipleChoiceField(
        label="Methods of learning",
        choices=METHOD_CHOICES,
        initial=["simclr"],
        widget=forms.CheckboxSelectMultiple,
    )
    feasibility = forms.MultipleChoiceField(
        label="Does it hold elsewhere?",
        required=False,
        choices=[
            ("method", "Another method of learning"),
            ("encoder", "Another network: one twice as wide, where it is a small_resnet"),
            ("side", "Smaller images"),
            ("mixed", "Other images mixed in: 10, 50 and 90 per cent"),
            ("task", "Other labels than the classes, for soft and hard answers"),
        ],
        widget=forms.CheckboxSelectMultiple,
        help_text="One thing is changed at a time, with the first method; all but the last take further trainings: "
        "one for each of the settings, each key and each share of other images.",
    )
    others = forms.ModelChoiceField(
        Version.objects.none(),
        label="Dataset that is mixed in",
        required=False,
        empty_label="None",
        help_text="Where other images are mixed in. Half of them takes as many as the pilot learns from, 90 per cent "
        "nine times as many.",
    )
    minutes = forms.FloatField(label="Minutes", help_text="No training starts that would not end within them.")
    runs = forms.IntegerField(label="Keys for each", help_text="Each has a training of its own.")
    references = forms.IntegerField(
        label="Unmarked twins of each method", help_text="They are the references, and what quality is compared with."
    )
    images = forms.IntegerField(
        label="Images, at most", help_text="As many are marked, or stay home, as of the whole version."
    )
    epochs = forms.IntegerField(label="Epochs")
    batch_size = forms.IntegerField(label="Images per step")
    encoder = forms.CharField(label="Network", help_text="small_resnet:WIDTH, cifar_resnet:DEPTH or timm:NAME.")
    side = forms.IntegerField(label="Side of the images, in pixels", help_text="CLIP sees 48.")
    alpha = forms.FloatField(label="Alpha")
    decoys = forms.IntegerField(label="Decoy keys of plain marks")
    device = forms.ChoiceField(label="Device", choices=[("auto", "A GPU where there is one"), ("cpu", "Processor")])

    ADVANCED = ("references", "images", "epochs", "batch_size", "encoder", "side", "alpha", "decoys", "device")
    _ASKED = ("minutes", "runs", *ADVANCED)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        usual = {name: PilotSettings.__dataclass_fields__[name].default for name in self._ASKED}
        kwargs["initial"] = usual | dict(kwargs.get("initial", {}))
        super().__init__(*args, **kwargs)
        versions = service.may_pilot(user)
        self._user = user
        set_bounds(self, PilotSettings, self._ASKED)
        self._field("version").queryset = versions
        self._field("others").queryset = versions
        self._field("family").choices = [(name, family.title) for name, family in families().items()]
        self._field("strengths").choices = [(preset.name, preset.title) for preset in PRESETS.values()]
        clusters = Clusters.objects.filter(version__in=versions).select_related("version__dataset")
        self._field("clusters").queryset = clusters
        self._field("clusters").label_from_instance = lambda one: f"{one.version}: {one}"
        blockings = Blocking.objects.filter(version__in=versions).select_related("version__dataset")
        self._field("blocking").queryset = blockings
        self._field("blocking").label_from_instance = lambda one: f"{one.version}: {one}"

    def _field(self, name: str) -> Any:
        return self.fields[name]

    @property
    def advanced_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.ADVANCED]

    def clean_at_home(self) -> tuple[float, ...]:
        parts = [part.strip() for part in self.cleaned_data["at_home"].split(",") if part.strip()]
        try:
            return tuple(dict.fromkeys(float(part) / 100 for part in parts))
        except ValueError as error:
            raise forms.ValidationError("Give shares as numbers with commas between them, as in “2, 5”.") from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                service.check(cleaned["version"], self.wanted)
                service.check_variations(self.wanted)
                service.check_others(cleaned["version"], self.wanted, self._user)
            except TouchmarkError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @cached_property
    def wanted(self) -> PilotSettings:
        """What a complete form asks for. Raises TouchmarkError."""
        data = self.cleaned_data
        asked = {name: data[name] for name in self._ASKED}
        plain = PilotSettings(self._proposals(), seed=0, methods=tuple(data["methods"]), **asked)
        others = str(data["others"].pk) if data["others"] else ""
        varied = service.usual_variations(plain, data["feasibility"])
        return replace(plain, variations=varied, others=others)

    def _proposals(self) -> tuple[Proposal, ...]:
        data = self.cleaned_data
        if data["clusters"] is not None and data["clusters"].version_id != data["version"].pk:
            raise PilotError("These clusters are those of another version; choose clusters of this one.")
        found = service.struck_proposals(
            data["version"],
            data["family"],
            data["strengths"],
            association=data["association"] or "associated",
            clusters=data["clusters"],
        )
        if data["blocking"] is None:
            return found
        if data["blocking"].version_id != data["version"].pk:
            raise PilotError("These blocks are those of another version; choose blocks of this one.")
        return (*found, *service.withheld_proposals(data["blocking"], data["at_home"]))
