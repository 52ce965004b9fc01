"""The form of a table of robustness."""

from typing import Any

from django import forms

from audits.forms.settings import METHOD_CHOICES, set_bounds
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.catalogue import CATALOGUE
from audits.robustness.settings import FEWEST_IMAGES, MOST_IMAGES, RobustnessSettings
from audits.services.robustness import starting as service
from provenance.errors import TouchmarkError
from provenance.forms.marks import ASSOCIATIONS
from provenance.marks import PRESETS, families
from provenance.marks.withheld import MAX_BLOCK, MIN_BLOCK, WITHHELD
from provenance.models import Organisation, User, Version
from provenance.wording import percent

OF_MARKS = [
    (WITHHELD, "Withheld: nothing is drawn, one of every few images stays home"),
    *(
        (one.name, f"{one.title}: marks of this strength are struck into {percent(one.share)} of the images")
        for one in PRESETS.values()
    ),
]


class RobustnessForm(forms.Form):
    organisation = forms.ModelChoiceField(Organisation.objects.none(), label="For", empty_label=None)
    version = forms.ModelChoiceField(
        Version.objects.none(), label="Images", required=False, empty_label="Procedural scenes, which need no data"
    )
    images = forms.IntegerField(
        label="How many images", min_value=FEWEST_IMAGES, max_value=MOST_IMAGES,
        help_text="Drawn by the seed. The owner has half of them; references, the evader and the task have the rest.",
    )  # fmt: skip
    mark = forms.ChoiceField(label="Marks", choices=OF_MARKS)
    family = forms.ChoiceField(label="Family of marks", help_text="Of marks that are struck.")
    association = forms.ChoiceField(
        label="Way of marking", choices=ASSOCIATIONS,
        help_text="Of marks that are struck. A plain mark's key is ranked among decoys, which takes many questions to "
        "every model; groups are the images' classes.",
    )  # fmt: skip
    decoys = forms.IntegerField(label="Decoy keys", help_text="Of plain marks.")
    block_size = forms.IntegerField(
        label="Images in a block", min_value=MIN_BLOCK, max_value=MAX_BLOCK, help_text="Of withheld images."
    )
    share = forms.FloatField(
        label="Share that stays home", min_value=0.001, max_value=0.5, help_text="Of withheld images."
    )
    method = forms.ChoiceField(label="Method", choices=METHOD_CHOICES)
    epochs = forms.IntegerField(label="Epochs", min_value=1, max_value=10_000)
    encoder = forms.CharField(
        label="Network",
        max_length=100,
        help_text="small_resnet:WIDTH, cifar_resnet:DEPTH or timm:NAME. CLIP has its own.",
    )
    side = forms.IntegerField(label="Side of the images, in pixels", help_text="CLIP has its own, 48.")
    trials = forms.IntegerField(
        label="Trials", min_value=1, max_value=100,
        help_text="Keys, each with seeds of its own. With five, even 5 of 5 leaves open a share of a third.",
    )  # fmt: skip
    references = forms.IntegerField(label="References", min_value=0, max_value=8)
    attacks = forms.MultipleChoiceField(
        label="Attacks",
        choices=[(name, f"{attack.title[:1].upper()}{attack.title[1:]}") for name, attack in CATALOGUE.items()],
        widget=forms.CheckboxSelectMultiple,
    )
    seed = forms.IntegerField(
        label="Seed", required=False, min_value=0, max_value=service.SEEDS - 1,
        help_text="Drawn at random if left empty. The same seed, code and settings give the same table on one machine.",
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        usual = service.Wanted()
        names = (
            *("images", "mark", "family", "association", "decoys", "block_size", "share"),
            *("method", "encoder", "side", "epochs", "trials", "references", "attacks"),
        )
        kwargs["initial"] = {name: getattr(usual, name) for name in names} | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["organisation"].queryset = user.organisations(*service.ROLES)
        set_bounds(self, RobustnessSettings, ("decoys",))
        set_bounds(self, TrainingSettings, ("side",))
        fields["family"].choices = [(name, family.title) for name, family in families().items()]
        fields["version"].queryset = service.usable_versions(user)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                service.check(self.wanted)
            except TouchmarkError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @property
    def wanted(self) -> service.Wanted:
        """What a complete form asks for."""
        data = dict(self.cleaned_data)
        data.pop("organisation")
        return service.Wanted(**data | {"attacks": tuple(data["attacks"])})
