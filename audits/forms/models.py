"""The forms of models: what a person says about a suspect, a reference or an encoder, and how it is run."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import cached_property

from audits.models import RegisteredModel
from audits.services.models.registering import DECLARATION, Registration
from audits.suspects import ModelSpec, SpecError
from audits.suspects.spec import MAX_CLASSES, PRECISIONS
from provenance.models import Organisation, Role, Upload, User

LEVELS = [
    ("features", "features: the encoder's own vectors"),
    ("labels", "soft and hard labels: from its head, or from prompts for open_clip models"),
]


def _small(rows: int = 3) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "spellcheck": "false"})


class DescriptionForm(forms.Form):
    """How a model is run. ``spec`` is the description of a valid form."""

    architecture = forms.CharField(label="Architecture", max_length=120)
    returns = forms.MultipleChoiceField(
        label="What it is asked for", choices=LEVELS, widget=forms.CheckboxSelectMultiple, initial=["features"]
    )
    top_k = forms.IntegerField(
        label="Likeliest labels named", required=False, min_value=1, max_value=MAX_CLASSES,
        help_text="As of an interface that answers with its top 5: the probabilities of so many labels are used, the "
        "rest counts as one label more. Left empty, all.",
    )  # fmt: skip
    input_size = forms.IntegerField(
        label="Input size", required=False, min_value=8, max_value=2048,
        help_text="Side of the square input in pixels. Left empty, the architecture’s own.",
    )  # fmt: skip
    mean = forms.CharField(
        label="Mean", required=False, max_length=100,
        help_text="Per channel on the scale 0 to 1, such as 0.485 0.456 0.406. Left empty, the architecture’s own.",
    )  # fmt: skip
    deviation = forms.CharField(
        label="Deviation", required=False, max_length=100,
        help_text="As used in training: a wrong normalisation makes every answer worthless, and nothing will say so.",
    )  # fmt: skip
    channels = forms.ChoiceField(
        label="Channels", choices=[("3", "3: colour"), ("1", "1: grey")], initial="3", required=False
    )
    class_names = forms.CharField(
        label="Class names", required=False, widget=_small(6), max_length=200_000,
        help_text="For zero-shot labels of open_clip models, one name per line.",
    )  # fmt: skip
    templates = forms.CharField(
        label="Prompt templates", required=False, widget=_small(), max_length=20_000, initial="a photo of a {}.",
        help_text="One per line; {} stands for the class name. Several are averaged.",
    )  # fmt: skip
    config = forms.CharField(
        label="open_clip configuration", required=False, widget=_small(6), max_length=20_000,
        help_text="For the architecture open_clip:custom only: the JSON with embed_dim, vision_cfg and text_cfg.",
    )  # fmt: skip
    features_output = forms.CharField(
        label="Output with features", required=False, max_length=200,
        help_text="ONNX only. Left empty, the first output.",
    )  # fmt: skip
    scores_output = forms.CharField(
        label="Output with scores", required=False, max_length=200,
        help_text="ONNX only. Left empty, the next output.",
    )  # fmt: skip
    scores = forms.ChoiceField(
        label="The scores are", choices=[("logits", "logits"), ("probabilities", "probabilities")], required=False,
        initial="logits", help_text="ONNX only.",
    )  # fmt: skip
    precision = forms.ChoiceField(
        label="Precision", choices=[(name, name) for name in PRECISIONS], initial="float32", required=False,
        help_text="float32 gives the same answers again; bfloat16 can be faster on newer machines.",
    )  # fmt: skip
    channels_last = forms.BooleanField(
        label="Channels-last memory", required=False, help_text="Can be faster for convolutional networks."
    )

    def clean_mean(self) -> tuple[float, ...] | None:
        return _numbers(self.cleaned_data["mean"])

    def clean_deviation(self) -> tuple[float, ...] | None:
        return _numbers(self.cleaned_data["deviation"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                cleaned["spec"] = self._spec(cleaned)
            except SpecError as error:
                raise forms.ValidationError(error.sentence) from error
        return cleaned

    @cached_property
    def spec(self) -> ModelSpec:
        spec: ModelSpec = self.cleaned_data["spec"]
        return spec

    @staticmethod
    def _spec(data: dict[str, Any]) -> ModelSpec:
        architecture = data["architecture"].strip()
        labels = "labels" in data["returns"]
        prompts = labels and architecture.startswith("open_clip:")
        fields = {
            "architecture": architecture,
            "returns": (("features",) if "features" in data["returns"] else ()) + (("soft", "hard") if labels else ()),
            "top_k": data["top_k"] if labels else None,
            "input_size": data["input_size"],
            "mean": data["mean"],
            "deviation": data["deviation"],
            "channels": int(data["channels"] or 3),
            "class_names": _lines(data["class_names"]) if prompts else (),
            "config": data["config"].strip() if architecture == "open_clip:custom" else "",
            "features_output": data["features_output"].strip(),
            "scores_output": data["scores_output"].strip(),
            "scores": data["scores"] or "logits",
            "precision": data["precision"] or "float32",
            "channels_last": data["channels_last"],
        }
        if prompts and _lines(data["templates"]):
            fields["templates"] = _lines(data["templates"])
        return ModelSpec(**fields)


ROLES = {
    RegisteredModel.ModelRole.SUSPECT: "suspect: a model that may have been trained on a release",
    RegisteredModel.ModelRole.REFERENCE: "reference: a model known never to have seen one",
    RegisteredModel.ModelRole.ENCODER: "encoder: a model that groups your images where they have no labels",
}


class RegistrationForm(DescriptionForm):
    """A new model with its weights: a finished upload, or a file on the server."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), label="Organisation", empty_label=None)
    role = forms.ChoiceField(
        label="It is a",
        widget=forms.RadioSelect,
        choices=list(ROLES.items()),
    )
    name = forms.CharField(label="Name", max_length=200)
    origin = forms.CharField(
        label="Origin", required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=2000,
        help_text="Who made it, where and when it was obtained. It stands in the evidence log and in reports.",
    )  # fmt: skip
    published_on = forms.DateField(
        label="Published on", required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text="Of a suspect that was public before it was registered here. A key that was committed to later may "
        "have been chosen to fit it, so it can give no evidence. It cannot be changed after registration.",
    )  # fmt: skip
    declared = forms.BooleanField(
        label=DECLARATION, required=False, help_text="Needed for a reference, and logged under your name."
    )
    upload = forms.UUIDField(required=False, widget=forms.HiddenInput)
    server_path = forms.CharField(
        label="File on the server", required=False, max_length=1000,
        help_text="Instead of an upload: a path under the folders that the administrator allowed.",
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if settings.SERVER_ROOTS:
            folders = ", ".join(str(root) for root in settings.SERVER_ROOTS)
            self.fields["server_path"].help_text = f"Instead of an upload: a path under {folders}."
        else:
            del self.fields["server_path"]
        own = user.organisations(Role.AUDITOR, Role.RIGHTS_HOLDER)
        roles = [(role, text) for role, text in ROLES.items() if user.organisations(keeper_of(role)).exists()]
        self.fields["role"].choices = roles  # type: ignore[attr-defined]
        if RegisteredModel.ModelRole.REFERENCE not in dict(roles):
            del self.fields["declared"]
        if roles and not self.initial.get("role"):
            self.fields["role"].initial = roles[0][0]
        field: Any = self.fields["organisation"]
        field.queryset = own
        if own.count() == 1:
            field.initial, field.widget = own.get(), forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        organisation, role = cleaned.get("organisation"), cleaned.get("role")
        if organisation and role and not self.user.has_role(organisation, keeper_of(role)):
            self.add_error("role", f"In {organisation} this is for the role {keeper_of(role).label}.")
        if role == "reference":
            if not cleaned.get("declared"):
                self.add_error("declared", "A reference needs this declaration; it is logged under your name.")
            if not cleaned.get("origin"):
                self.add_error("origin", "Say where the reference comes from.")
        if cleaned.get("upload") and cleaned.get("server_path"):
            self.add_error("server_path", "Choose either an upload or a file on the server, not both.")
        elif not cleaned.get("upload") and not cleaned.get("server_path"):
            self.add_error(None, "Upload the weights, or name a file on the server.")
        return cleaned

    @property
    def chosen_upload(self) -> Upload | None:
        """The person's own upload that the form names."""
        return Upload.objects.for_user(self.user).filter(pk=self.cleaned_data["upload"], consumed=False).first()

    @property
    def registration(self) -> Registration:
        data = self.cleaned_data
        return Registration(
            data["name"], data["role"], self.spec, data["origin"], data.get("declared", False), data["published_on"]
        )


def keeper_of(role: str) -> Role:
    """Who may register a model in this role."""
    return RegisteredModel(role=role).keeper


def initial_of(spec: ModelSpec) -> dict[str, Any]:
    """What the description form shows for a model that is described already."""
    returns = (["features"] if "features" in spec.returns else []) + (["labels"] if spec.has_scores else [])
    shown = {
        name: getattr(spec, name)
        for name in (
            "architecture", "top_k", "input_size", "config", "features_output", "scores_output", "scores",
            "precision", "channels_last",
        )
    }  # fmt: skip
    return shown | {
        "returns": returns,
        "channels": str(spec.channels),
        "mean": " ".join(f"{number:g}" for number in spec.mean or ()),
        "deviation": " ".join(f"{number:g}" for number in spec.deviation or ()),
        "class_names": "\n".join(spec.class_names),
        "templates": "\n".join(spec.templates),
    }


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _numbers(text: str) -> tuple[float, ...] | None:
    words = text.replace(",", " ").replace(";", " ").split()
    try:
        return tuple(float(word) for word in words) or None
    except ValueError as error:
        raise forms.ValidationError(
            "Write plain numbers with spaces between them, such as 0.485 0.456 0.406."
        ) from error
