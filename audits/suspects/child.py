"""What the confined process that opens a stranger's model does, once the fork server has forked it.

It confines itself before it reads anything of a stranger's, then answers requests that come over its standard input
until that is closed.
"""

from __future__ import annotations

import os
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audits.suspects.answers import Limits
from audits.suspects.confinement import ConfinementError, Walls, confine, die_with_parent
from audits.suspects.errors import FormatError, SpecError, SuspectError
from audits.suspects.files_wall import enclose
from audits.suspects.formats import inspect
from audits.suspects.identity import MOST_PARTS
from audits.suspects.protocol import ClosedError, Frame, Pipe
from audits.suspects.spec import ModelSpec
from audits.suspects.views import AppliedViews
from provenance.errors import TouchmarkError

if TYPE_CHECKING:
    from torch import Tensor

    from audits.suspects.architectures import Encoder
    from audits.suspects.captions import Captions
    from audits.suspects.inputs import Change, Inputs
    from audits.suspects.view_pixels import ViewMaker

MAX_REQUEST = 2**30
_PACKAGES = [Path(__file__).resolve().parents[2] / name for name in ("audits", "provenance")]


class Child:
    """One loaded model and the images it was given."""

    def __init__(self, pipe: Pipe, walls: Walls, file_wall: bool) -> None:
        self._pipe, self._walls, self._file_wall = pipe, walls, file_wall
        self._images: dict[str, list[Tensor]] = {}
        self._encoder: Encoder | None = None
        self._inputs: Inputs | None = None
        self._views: ViewMaker | None = None
        self._captions: Captions | None = None
        self._spec: ModelSpec | None = None
        self._limits = Limits()

    def serve(self) -> None:
        """Answer requests until the parent closes the pipe."""
        while True:
            try:
                frame = self._pipe.receive()
            except ClosedError:
                return
            try:
                header, arrays = self._answer(frame)
            except Exception as error:  # every failure becomes an answer; the parent decides what it means
                self._pipe.send({"error": _described(error)})
            else:
                self._pipe.send({"ok": header}, arrays)

    def _answer(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
        request = frame.header.get("do")
        if request == "load":
            return self._load(frame.header), {}
        if request == "images":
            return self._take_images(frame.header["name"], frame.arrays["images"], frame.header["more"]), {}
        if request == "forget":
            self._images.pop(frame.header["name"], None)
            if self._captions is not None:
                self._captions.forget(frame.header["name"])
            return {}, {}
        if request == "captions":
            return self._take_captions(frame), {}
        if request == "views":
            return self._take_views(frame), {}
        if request == "ask":
            return self._ask(frame)
        if request == "identify":
            return self._identify(frame.header["path"])
        raise SuspectError("request", f"There is no request “{request}”.")

    def _load(self, header: dict[str, Any]) -> dict[str, Any]:
        inspect(Path(header["path"]))  # before torch, which takes seconds to import
        import torch

        from audits.suspects.architectures import build
        from audits.suspects.inputs import Inputs
        from audits.suspects.outputs import checked

        spec, self._limits = ModelSpec.from_json(header["spec"]), Limits(**header["limits"])
        torch.set_num_threads(self._limits.threads)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        wanted = self._limits.device
        device = torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")
        if wanted == "cuda" and device.type != "cuda":
            raise SuspectError("request", "This plan asks for a GPU and this machine has none.")
        self._spec = spec
        self._encoder = encoder = build(spec, Path(header["path"]), device, self._limits.threads)
        if encoder.reads_captions and "features" in spec.returns:
            from audits.suspects.captions import Captions, tower_of

            self._captions = Captions(partial(tower_of, spec, Path(header["path"])), encoder.device)
        size = encoder.input_size
        self._inputs = Inputs(encoder, self._limits.batch)
        grey = torch.full((1, 3, size, size), 127.5, device=encoder.device)
        given = checked(self._forward(encoder.normalise(grey)), spec)
        return {
            "input_shape": [encoder.channels, size, size],
            "mean": list(encoder.mean),
            "deviation": list(encoder.deviation),
            "feature_size": given["features"].shape[1] if "features" in given else None,
            "class_count": given["soft"].shape[1] if "soft" in given else None,
            "parameters": encoder.parameters,
            "device": _device_name(encoder.device),
            "network_namespace": self._walls.network_namespace,
            "file_wall": self._file_wall,
            "versions": _versions(spec),
            "reads_captions": self._captions is not None,
        }

    def _take_images(self, name: str, images: np.ndarray, more: bool) -> dict[str, Any]:
        import torch

        from audits.suspects.inputs import received

        encoder = self._loaded()
        held = self._images.setdefault(name, [])
        room = self._limits.image_bytes - sum(part.numel() for parts in self._images.values() for part in parts)
        if len(images) * 3 * encoder.input_size**2 > room:
            raise SuspectError("request", "These are too many images for one audit; use fewer probes.")
        held.append(received(images, encoder))
        if not more:
            self._images[name] = [torch.cat(held)]
        return {"count": sum(len(part) for part in held)}

    def _take_views(self, frame: Frame) -> dict[str, Any]:
        from audits.suspects.view_pixels import ViewMaker

        encoder = self._loaded()
        self._views = ViewMaker(AppliedViews(**frame.arrays), encoder.device)
        if self._views.size != encoder.input_size:
            raise SuspectError("request", "These views were drawn for images of another size.")
        return {"count": self._views.count}

    def _take_captions(self, frame: Frame) -> dict[str, Any]:
        name = frame.header["name"]
        if self._captions is None:
            raise SuspectError("request", "This model has no text tower that reads captions.")
        if not self._images.get(name):
            raise SuspectError("request", "These images were never sent to the suspect.")
        self._captions.take(name, frame.arrays["texts"], len(self._images[name][0]))
        return {}

    def _ask(self, frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
        import torch

        from audits.suspects.inputs import to_device
        from audits.suspects.outputs import checked

        encoder, spec = self._loaded(), self._spec
        assert spec is not None  # noqa: S101
        assert self._inputs is not None  # noqa: S101
        held, wanted = self._images.get(frame.header["name"]), frame.arrays["indices"]
        if not held:
            raise SuspectError("request", "These images were never sent to the suspect.")
        if wanted.ndim != 1 or (wanted.size and not 0 <= wanted.min() <= wanted.max() < len(held[0])):
            raise SuspectError("request", "An image was asked for that is not there.")
        indices = to_device(torch.from_numpy(wanted), encoder.device)
        change = self._change(frame)
        found: dict[str, list[Tensor]] = {}
        for start in range(0, len(indices), self._limits.batch):
            given = self._forward(self._inputs.fill(held[0], indices, start, change))
            for name, rows in given.items():
                found.setdefault(name, []).append(rows.clone())  # a network may hand back a part of its input
        answers = {name: torch.cat(parts) for name, parts in found.items()}
        if self._captions is not None and frame.header["name"] in self._captions:
            answers["captions"] = self._captions.cosines(frame.header["name"], indices, answers["features"])
        arrays = checked(answers, spec)
        if "soft" in arrays and "hard" in spec.returns:
            arrays["hard"] = arrays["soft"].argmax(axis=1).astype(np.int64)
        return {}, {name: array for name, array in arrays.items() if name in (*spec.returns, "captions")}

    def _change(self, frame: Frame) -> Change | None:
        """What a request does to the images before the network sees them."""
        import torch

        from audits.suspects.inputs import Mark, Seen, to_device

        device = self._loaded().device
        if "settings" in frame.header:
            return Mark(frame, device)
        if "views" not in frame.arrays:
            return None
        numbers = frame.arrays["views"]
        if self._views is None or not 0 <= numbers.min() <= numbers.max() < self._views.count:
            raise SuspectError("request", "A view was asked for that was never sent to the suspect.")
        return Seen(self._views, to_device(torch.from_numpy(numbers), device))

    def _identify(self, path: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Digests of the tensors, and answers to the fixed noise images whatever the description says."""
        from audits.suspects.noise_answers import noise_answers
        from audits.suspects.tensor_values import digest_over, tensor_digests

        found = tensor_digests(Path(path))
        encoder = self._loaded()
        told = {"tensors": digest_over(found), "parts": [one.hex()[:16] for one in found[:MOST_PARTS]]}
        return {**told, "named": encoder.network.named.to_json()}, noise_answers(encoder)

    def _forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Answers to (B, C, S, S) network input, still on the device: "features" and "soft" as far as there are any."""
        import torch

        from audits.suspects.outputs import likeliest

        encoder, spec = self._loaded(), self._spec
        assert spec is not None  # noqa: S101
        with torch.inference_mode():
            features, soft = encoder.network(inputs)
        given = {"features": features if "features" in spec.returns else None, "soft": soft}
        answers = {name: rows for name, rows in given.items() if rows is not None}
        for name, rows in answers.items():
            if rows.ndim != 2 or len(rows) != len(inputs) or rows.shape[1] < 1:
                name = "labels" if name == "soft" else name
                raise SuspectError("shape", f"The {name} have the shape {tuple(rows.shape)}; one row per image counts.")
        if "soft" in answers and spec.top_k is not None:
            answers["soft"] = likeliest(answers["soft"], spec.top_k)
        return answers

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            raise SuspectError("request", "No model is loaded.")
        return self._encoder


def _versions(spec: ModelSpec) -> dict[str, str]:
    from importlib.metadata import version

    packages = {"timm": ["torch", "timm"], "open_clip": ["torch", "open_clip_torch"], "onnx": ["onnxruntime"]}
    return {name: version(name) for name in packages.get(spec.family, ["torch"])}


def _device_name(device: Any) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _described(error: Exception) -> dict[str, str]:
    """An error as the parent reads it."""
    detail = "".join(traceback.format_exception(error))[-4000:]
    if isinstance(error, SuspectError):
        return {"kind": error.kind, "sentence": error.sentence, "detail": error.detail or detail}
    if isinstance(error, FormatError | SpecError):
        return {"kind": "weights", "sentence": error.sentence, "detail": detail}
    if isinstance(error, TouchmarkError):
        return {"kind": "request", "sentence": error.sentence, "detail": detail}
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text or "bad_alloc" in text:
        sentence = "The model needs more memory than it may have. Use a smaller batch, or a machine with more memory."
        return {"kind": "memory", "sentence": sentence, "detail": detail}
    return {"kind": "model", "sentence": "The model failed on the images it was given.", "detail": detail}


def main(words: list[str]) -> None:
    """Confine, then serve. Standard output becomes the error stream, so that libraries cannot disturb the answers.

    words: the parent's number, limits of memory, processor time, files and answers, and the path of the weights.
    """
    answering = os.dup(1)
    os.dup2(2, 1)
    parent, memory, cpu_seconds, file_bytes, max_bytes = (int(word) for word in words[:5])
    weights, folder = Path(words[5]), Path.cwd()
    pipe = Pipe(0, answering, max(MAX_REQUEST, max_bytes))
    try:
        die_with_parent(parent)
        walls = confine(memory or None, cpu_seconds, file_bytes)
        file_wall = enclose(weights, folder, _PACKAGES) if weights.exists() else False
    except (ConfinementError, OSError, ValueError) as error:
        sentence = f"The model was not opened, because its process could not be confined: {error}"
        pipe.send({"error": {"kind": "sandbox", "sentence": sentence, "detail": repr(error)}})
        return
    pipe.send({"ok": {"confined": True}})
    Child(pipe, walls, file_wall).serve()
