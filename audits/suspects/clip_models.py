"""open_clip models without its downloads: towers are built from a configuration and filled from the weights given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP, _build_vision_tower, convert_to_custom_text_state_dict
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn import functional

from audits.suspects.catalogue import reads_prompts
from audits.suspects.errors import SuspectError
from audits.suspects.spec import ModelSpec
from audits.suspects.weights import Tensors, fill

# Constants that OpenAI's own files keep beside the weights.
_CONSTANTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
_TEXTS_AT_ONCE = 256


class TextTower:
    """Reads texts with open_clip's own tokenizer, which ships with the package."""

    def __init__(self, model: Any, text: dict[str, Any]) -> None:
        """model: a whole one, wherever it lies; text: its `text_cfg`."""
        self._model, self._words = model, text.get("vocab_size", 49408)
        self._tokenizer = SimpleTokenizer(
            context_length=text.get("context_length", 77), **text.get("tokenizer_kwargs", {})
        )

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Embeddings (n, d) of length one. Raises SuspectError where words are missing."""
        tokens = self._tokenizer(list(texts))
        if int(tokens.max()) >= self._words:
            raise SuspectError("architecture", "The text tower's vocabulary is smaller than open_clip's own tokenizer.")
        tokens = tokens.to(self._model.logit_scale.device)
        parts = [self._model.encode_text(block, normalize=True) for block in tokens.split(_TEXTS_AT_ONCE)]
        return torch.cat(parts).float()


def config_of(spec: ModelSpec) -> dict[str, Any]:
    """open_clip's configuration, at the input size that the spec asks for."""
    config = spec.open_clip_config()
    if spec.input_size is not None:
        config["vision_cfg"]["image_size"] = spec.input_size
    return config


def image_tower(config: dict[str, Any], spec: ModelSpec, tensors: Tensors) -> nn.Module:
    """The image tower alone, from a file of the whole model or of the tower."""
    vision = {**config["vision_cfg"], "timm_model_pretrained": False}
    tower: nn.Module = _built(
        spec, lambda: _build_vision_tower(config["embed_dim"], vision, config.get("quick_gelu", False))
    )
    visual = {name.removeprefix("visual."): item for name, item in tensors.items() if name.startswith("visual.")}
    fill(tower, visual or tensors, spec.architecture)
    return tower


def whole_model(config: dict[str, Any], spec: ModelSpec, tensors: Tensors) -> tuple[nn.Module, Tensor, float, float]:
    """Image tower, prompts' embeddings (k, d), and scale and bias of the similarities."""
    model = _filled(config, spec, tensors)
    prompts = _prompt_embeddings(TextTower(model, config["text_cfg"]), spec)
    bias = 0.0 if model.logit_bias is None else float(model.logit_bias)
    return model.visual, prompts, float(model.logit_scale.exp()), bias


def has_text_tower(config: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether a file with tensors of these names holds a text tower that can read offline."""
    return reads_prompts(config) and any(name.endswith("token_embedding.weight") for name in names)


def text_tower(config: dict[str, Any], spec: ModelSpec, tensors: Tensors) -> TextTower:
    """The text tower alone: images were answered by the other one, so that is not kept twice."""
    model = _filled(config, spec, tensors)
    model.visual = nn.Identity()
    return TextTower(model, config["text_cfg"])


def _filled(config: dict[str, Any], spec: ModelSpec, tensors: Tensors) -> Any:
    """Both towers, in evaluation mode on the CPU."""
    config = {**config, "vision_cfg": {**config["vision_cfg"], "timm_model_pretrained": False}}
    custom = config.pop("custom_text", False)
    model: Any = _built(spec, lambda: (CustomTextCLIP if custom else CLIP)(**config))
    tensors = {name: item for name, item in tensors.items() if name not in _CONSTANTS}
    if custom and "positional_embedding" in tensors:
        tensors = convert_to_custom_text_state_dict(tensors)
    for name in ("logit_scale", "logit_bias"):  # some files keep these single numbers as arrays of one
        target = getattr(model, name, None)
        if name in tensors and target is not None and tensors[name].numel() == 1:
            tensors[name] = tensors[name].reshape(target.shape)
    fill(model, tensors, spec.architecture)
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def _prompt_embeddings(tower: TextTower, spec: ModelSpec) -> Tensor:
    """One direction per class: the mean of its templates' normalised embeddings, normalised again (Radford 2021)."""
    total: Tensor | None = None
    for template in spec.templates:
        read = tower.read([template.format(name) for name in spec.class_names])
        total = read if total is None else total + read
    assert total is not None  # noqa: S101 - a spec with prompts has a template
    return functional.normalize(total, dim=1).clone()


def _built(spec: ModelSpec, factory: Callable[[], nn.Module]) -> nn.Module:
    try:
        return factory()
    except (TypeError, ValueError, AssertionError, AttributeError, KeyError, ZeroDivisionError) as error:
        sentence = f"{spec.architecture} cannot be built from its configuration: {error}"[:300]
        raise SuspectError("architecture", sentence, repr(error)) from error
