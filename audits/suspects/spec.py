"""How a suspect is described: which network, which input, which answers.

A ``ModelSpec`` is public: it goes into plans, logs and reports. It holds no path; the weights come beside it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from audits.suspects import catalogue
from audits.suspects.errors import SpecError

LEVELS = ("features", "soft", "hard")
PRECISIONS = ("float32", "bfloat16")
SCORES = ("logits", "probabilities")
MAX_CLASSES = 100_000
MAX_PROMPTS = 4096
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ModelSpec:
    """Description of a model that is asked by its weights. Raises SpecError for what does not fit together."""

    # "timm:<name>", "open_clip:<name>", "open_clip:custom" (with `config`), "cifar_resnet:20|32|44|56", "onnx",
    # "small_resnet:<width>" or "small_resnet:<width>:<blocks-per-stage>", for instance "small_resnet:16:1-1-1-1".
    architecture: str
    returns: tuple[str, ...] = ("features",)  # levels asked for, of features, soft, hard
    input_size: int | None = None  # side of the square input in pixels; None takes the architecture's own
    # Normalisation of pixels scaled to 0..1, one number per channel; None takes the architecture's own where it has
    # one, else ImageNet's.
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    channels: int = 3  # or 1, for networks that see grey images
    classes: int | None = None  # of the head; None reads it off the weights
    # Prompts for zero-shot labels of open_clip models; each template holds one {}.
    class_names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("a photo of a {}.",)
    # How many of the likeliest labels an answer names with their probabilities, as an interface does that gives its
    # top k; None: all. What is left out counts as one label more (`phi_soft`).
    top_k: int | None = None
    scores: str = "logits"  # what an ONNX network's score output holds
    features_output: str = ""  # of an ONNX network; empty takes the only fitting one
    scores_output: str = ""
    precision: str = "float32"  # the default for reproducible answers
    channels_last: bool = False
    config: str = ""  # open_clip model configuration as canonical JSON, only for open_clip:custom

    def __post_init__(self) -> None:
        _check_returns(self)
        _check_input(self)
        _check_architecture(self)
        _check_labels(self)

    @property
    def family(self) -> str:
        """``timm``, ``open_clip``, ``cifar_resnet``, ``small_resnet`` or ``onnx``."""
        return self.architecture.partition(":")[0]

    @property
    def variant(self) -> str:
        """What stands after the family: ``resnet18``, ``20`` …; empty for ONNX."""
        return self.architecture.partition(":")[2]

    @property
    def has_scores(self) -> bool:
        """Whether soft or hard labels are asked for."""
        return "soft" in self.returns or "hard" in self.returns

    def open_clip_config(self) -> dict[str, Any]:
        """Configuration of an open_clip model."""
        if self.variant == "custom":
            config: dict[str, Any] = json.loads(self.config)
            return config
        return catalogue.open_clip_config(self.variant)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping with every field; ``from_json`` reads it back to an equal spec."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: object) -> ModelSpec:
        """Read a mapping as ``to_json`` writes it; missing fields take their default.

        Raises ``SpecError`` for anything that is not such a mapping.
        """
        if not isinstance(value, Mapping):
            raise SpecError("A model description is a JSON object.")
        known = {field.name for field in fields(cls)}
        unknown = sorted(str(name) for name in value if name not in known)
        if unknown:
            raise SpecError(f"A model description has no field named “{unknown[0]}”.")
        if "architecture" not in value:
            raise SpecError("Choose an architecture.")
        plain: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
        if isinstance(plain.get("config"), Mapping):
            plain["config"] = json.dumps(plain["config"], sort_keys=True, separators=(",", ":"))
        return cls(**plain)


def _check_returns(spec: ModelSpec) -> None:
    if not isinstance(spec.returns, tuple) or not spec.returns:
        raise SpecError("Choose at least one of the levels features, soft and hard.")
    for level in spec.returns:
        if level not in LEVELS:
            raise SpecError(f"“{str(level)[:40]}” is not a level; choose among features, soft and hard.")
    if len(set(spec.returns)) != len(spec.returns):
        raise SpecError("Name each level once.")
    if spec.precision not in PRECISIONS:
        raise SpecError("The precision is float32 or bfloat16.")
    if spec.scores not in SCORES:
        raise SpecError("Say whether the scores are logits or probabilities.")
    if not isinstance(spec.channels_last, bool):
        raise SpecError("channels_last is true or false.")


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _check_input(spec: ModelSpec) -> None:
    if spec.channels not in (1, 3) or isinstance(spec.channels, bool):
        raise SpecError("The input has 3 channels (colour) or 1 (grey).")
    if spec.input_size is not None and not _is_whole(spec.input_size, 8, 2048):
        raise SpecError("The input size is the side of a square between 8 and 2048 pixels.")
    for label, numbers in (("mean", spec.mean), ("deviation", spec.deviation)):
        if numbers is None:
            continue
        if not isinstance(numbers, tuple) or len(numbers) != spec.channels:
            raise SpecError(f"The {label} needs one number per input channel ({spec.channels}).")
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise SpecError(f"The {label} consists of plain numbers such as 0.485.")
            if not (0 < number <= 10 if label == "deviation" else -10 <= number <= 10):
                raise SpecError(f"The {label} is on the scale 0 to 1, not 0 to 255, and a deviation is above zero.")


def _check_architecture(spec: ModelSpec) -> None:
    if not isinstance(spec.architecture, str) or not spec.architecture:
        raise SpecError("Choose an architecture.")
    family, variant = spec.family, spec.variant
    if family == "timm":
        fine = variant.partition(".")[0] in catalogue.timm_names()
    elif family == "open_clip":
        fine = variant == "custom" or variant in catalogue.open_clip_names()
    elif family == "cifar_resnet":
        fine = variant in {str(depth) for depth in catalogue.CIFAR_DEPTHS}
    elif family == "small_resnet":
        fine = re.fullmatch(r"[1-9]\d{0,2}(:[1-9](-[1-9]){0,4})?", variant) is not None
    else:
        fine = spec.architecture == "onnx"
    if not fine:
        raise SpecError(
            f"“{spec.architecture[:80]}” is not an architecture known here; choose one from the list, "
            "such as timm:resnet18, open_clip:ViT-B-32, cifar_resnet:20 or onnx."
        )
    _check_config(spec)


def _check_config(spec: ModelSpec) -> None:
    if not isinstance(spec.config, str) or len(spec.config) > 20_000:
        raise SpecError("The open_clip configuration is a JSON text of at most 20,000 characters.")
    if spec.architecture != "open_clip:custom":
        if spec.config:
            raise SpecError("Only the architecture open_clip:custom takes a configuration of its own.")
        return
    try:
        config = json.loads(spec.config)
    except ValueError as error:
        raise SpecError("open_clip:custom needs its model configuration as JSON.") from error
    if not isinstance(config, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= config.keys():
        raise SpecError("The open_clip configuration names embed_dim, vision_cfg and text_cfg.")
    if not isinstance(config["vision_cfg"], dict) or not isinstance(config["text_cfg"], dict):
        raise SpecError("vision_cfg and text_cfg are JSON objects.")
    if config["text_cfg"].get("hf_model_name") or config["text_cfg"].get("hf_tokenizer_name"):
        raise SpecError("Text towers and tokenizers that a model hub holds cannot be used: suspects have no network.")


def _check_labels(spec: ModelSpec) -> None:
    if spec.classes is not None and not _is_whole(spec.classes, 2, MAX_CLASSES):
        raise SpecError(f"A head has between 2 and {MAX_CLASSES:,} classes.")
    if spec.top_k is not None:
        if not _is_whole(spec.top_k, 1, MAX_CLASSES):
            raise SpecError(f"An answer names between 1 and {MAX_CLASSES:,} of the likeliest labels.")
        if "soft" not in spec.returns:
            raise SpecError("How many of the likeliest labels are named can be said where soft labels are asked for.")
    for name in ("features_output", "scores_output"):
        if not isinstance(getattr(spec, name), str) or len(getattr(spec, name)) > 200:
            raise SpecError("Names of outputs are texts of at most 200 characters.")
    for label, texts in (("class names", spec.class_names), ("templates", spec.templates)):
        if not isinstance(texts, tuple) or not all(isinstance(t, str) and 0 < len(t) <= 300 for t in texts):
            raise SpecError(f"The {label} are texts of 1 to 300 characters.")
    if spec.family != "open_clip":
        if spec.class_names:
            raise SpecError("Only open_clip models take class names as prompts; other models have a head of their own.")
        return
    if not spec.has_scores:
        return
    if not catalogue.reads_prompts(spec.open_clip_config()):
        raise SpecError(
            f"{spec.architecture} reads prompts with a tokenizer from a model hub, which suspects cannot reach; "
            "ask it for features only."
        )
    if not 2 <= len(set(spec.class_names)) == len(spec.class_names) <= MAX_CLASSES:
        raise SpecError("Zero-shot labels need two or more different class names.")
    if not spec.templates or any(t.count("{}") != 1 or t.replace("{}", "").count("{") for t in spec.templates):
        raise SpecError("Every prompt template holds the class name's place {} exactly once.")
    if len(spec.class_names) * len(spec.templates) > MAX_PROMPTS * 4:
        raise SpecError("Too many prompts: class names times templates may be at most 16,384.")
