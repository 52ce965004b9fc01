"""Tiny CLIP models: built with open_clip's own classes, and asked with prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.pilots.augmentation import to_input

if TYPE_CHECKING:  # loads longer than torch itself, and only who trains or asks needs it
    from open_clip.model import CLIP

ANSWER_BATCH = 256


def build(config: dict[str, Any], seed: int) -> CLIP:
    """An untrained model; all of its numbers derive from ``seed``."""
    from open_clip.model import CLIP

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIP(**config)
    return model.to(memory_format=torch.channels_last)


def tokens_of(texts: Sequence[str], length: int) -> Tensor:
    """Each text (n of them) as the numbers of its words and where it ends: ``(n, length)``."""
    from open_clip.tokenizer import SimpleTokenizer

    tokens: Tensor = SimpleTokenizer(context_length=length)(list(texts))
    return tokens


class ClipAnswers(NamedTuple):
    """Features ``(N, embed_dim)`` of length one and zero-shot probabilities ``(N, classes)``."""

    features: NDArray[np.float32]
    soft: NDArray[np.float32]


@torch.inference_mode()
def answers(model: CLIP, images: Tensor, names: Sequence[str], prompt: str) -> ClipAnswers:
    """Ask a model about images ``(N, 3, S, S)``, grey levels 0 to 255; labels come from prompts such as "a {}"."""
    model.eval()
    tokens = tokens_of([prompt.format(name) for name in names], model.context_length)
    read = model.encode_text(tokens, normalize=True)
    blocks = [model.encode_image(to_input(block), normalize=True) for block in images.split(ANSWER_BATCH)]
    seen = torch.cat(blocks)
    soft = (model.logit_scale.exp() * seen @ read.T).softmax(dim=1)
    return ClipAnswers(seen.numpy(), soft.numpy())
