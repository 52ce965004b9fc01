"""open_clip models without its downloads: towers are built from a configuration and filled from the weights given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP, _build_vision_tower, convert_to_custom_text_state_dict
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn
from torch.nn import functional

from audits.suspects.errors import SuspectError
from audits.suspects.spec import ModelSpec
from audits.suspects.weights import Tensors, fill

# Constants that OpenAI's own files keep beside the weights.
_CONSTANTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
_PROMPTS_AT_ONCE = 256


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
    model.eval().requires_grad_(False)
    prompts = _prompt_embeddings(model, config["text_cfg"], spec)
    bias = 0.0 if model.logit_bias is None else float(model.logit_bias)
    return model.visual, prompts, float(model.logit_scale.exp()), bias


@torch.inference_mode()
def _prompt_embeddings(model: Any, text: dict[str, Any], spec: ModelSpec) -> Tensor:
    """One direction per class: the mean of its templates' normalised embeddings, normalised again (Radford 2021)."""
    length = text.get("context_length", 77)
    tokenizer = SimpleTokenizer(context_length=length, **text.get("tokenizer_kwargs", {}))
    total: Tensor | None = None
    for template in spec.templates:
        tokens = tokenizer([template.format(name) for name in spec.class_names])
        if int(tokens.max()) >= text.get("vocab_size", 49408):
            raise SuspectError("architecture", "The text tower's vocabulary is smaller than open_clip's own tokenizer.")
        parts = [model.encode_text(block, normalize=True) for block in tokens.split(_PROMPTS_AT_ONCE)]
        read = torch.cat(parts).float()
        total = read if total is None else total + read
    assert total is not None  # noqa: S101 - a spec with prompts has a template
    return functional.normalize(total, dim=1).clone()


def _built(spec: ModelSpec, factory: Callable[[], nn.Module]) -> nn.Module:
    try:
        return factory()
    except (TypeError, ValueError, AssertionError, AttributeError, KeyError, ZeroDivisionError) as error:
        sentence = f"{spec.architecture} cannot be built from its configuration: {error}"[:300]
        raise SuspectError("architecture", sentence, repr(error)) from error
