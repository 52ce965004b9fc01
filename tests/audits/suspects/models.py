"""Tiny real models for the tests of this folder, made on the fly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

from audits.suspects import ModelSpec
from audits.suspects.cifar_resnet import CifarResNet
from audits.suspects.identity import Named

TINY_CLIP: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def save(state: dict[str, torch.Tensor], path: Path) -> Path:
    save_file({name: value.detach().contiguous().clone() for name, value in state.items()}, path)
    return path


def told(tensors: str, **named: Any) -> dict[str, Any]:
    """What the child says of a model beside its answers; named: as in `Named`."""
    return {"tensors": tensors, "parts": [], "named": Named(**named).to_json()}


FEATURES, LABELS = {"features": 1}, {"scores": 1, "logits": False}  # a network's only output


def seeded(seed: int = 1) -> None:
    torch.manual_seed(seed)


def cifar_weights(folder: Path, seed: int = 1) -> Path:
    seeded(seed)
    return save(CifarResNet(20).state_dict(), folder / "cifar.safetensors")


def clip_model(seed: int = 1) -> Any:
    from open_clip.model import CLIP

    seeded(seed)
    return CLIP(**TINY_CLIP).eval()


def clip_spec(**changes: Any) -> ModelSpec:
    config = json.dumps(TINY_CLIP, sort_keys=True)
    return ModelSpec(**{"architecture": "open_clip:custom", "config": config, **changes})


def onnx_file(
    path: Path, batch: int | str = "batch", side: int | str = 16, nodes: list[Any] | None = None, shown: float = 1.0
) -> Path:
    """Mean over the image's area -> 3 numbers (features), times a matrix -> 4 numbers (logits).

    "labels" are their probabilities, of which it names only the part `shown`.
    """
    weight = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
    graph = helper.make_graph(
        [
            *(nodes or []),
            helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["embedding"]),
            helper.make_node("MatMul", ["embedding", "weight"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
            helper.make_node("Mul", ["probabilities", "shown"], ["labels"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, side, side])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, 3]),
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 4]),
            helper.make_tensor_value_info("labels", TensorProto.FLOAT, [batch, 4]),
        ],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.float32(shown), "shown")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def endless_onnx(path: Path) -> Path:
    """Answers to one image at once and loops for hours when it is given more: a bomb behind a harmless start."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Sin", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Shape", ["images"], ["size"], end=1),
            helper.make_node("Sub", ["size", "one"], ["above"]),
            helper.make_node("Mul", ["above", "many"], ["turns"]),
            helper.make_node("Squeeze", ["turns"], ["count"]),
            helper.make_node("Loop", ["count", "", "flat"], ["embedding"], body=body),
        ],
        "endless",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.array([1], dtype=np.int64), "one"),
            numpy_helper.from_array(np.array([10**12], dtype=np.int64), "many"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
