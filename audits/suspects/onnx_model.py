"""An ONNX network on the CPU through onnxruntime. Imported in the child only, after the file passed the door."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from audits.suspects.errors import SuspectError
from audits.suspects.identity import MOST_OUTPUTS, Named
from audits.suspects.network import Outputs
from audits.suspects.onnx_sizes import of_any_size
from audits.suspects.spec import ModelSpec

MOST_OPENED_TWICE = 2**29  # bytes

onnxruntime.disable_telemetry_events()  # where we run nothing could be sent; nothing is collected either


class OnnxNetwork:
    """Takes (B, C, S, S) float32; pads the batch where the graph wants a fixed one."""

    def __init__(self, path: Path, spec: ModelSpec, threads: int) -> None:
        self._path, self._threads = path, threads
        self._session = self._opened(str(path))
        self._spec = spec
        self._input, self._batch, self.input_size = self._read_input()
        self._features, self._scores = self._choose_outputs()

    def _opened(self, file: str | bytes) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except MemoryError:
            raise
        except Exception as error:
            if "alloc" in str(error):
                raise MemoryError(str(error)) from error
            raise SuspectError("weights", "This ONNX file cannot be opened.", repr(error)) from error

    def of_any_size(self) -> OnnxNetwork:
        """Raises SuspectError where the file is too large to be opened twice, or cannot be opened like that."""
        if self._path.stat().st_size > MOST_OPENED_TWICE:
            raise SuspectError("memory", "This ONNX file is too large to be opened twice.")
        made = copy(self)
        made._session = self._opened(of_any_size(self._path.read_bytes()))
        return made

    def _read_input(self) -> tuple[str, int | None, int | None]:
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise SuspectError(
                "shape", "This ONNX network must take one input of 32-bit floats with four axes: batch, channels, "
                "height, width."
            )  # fmt: skip
        batch, channels, height, width = (side if isinstance(side, int) else None for side in inputs[0].shape)
        if channels not in (None, self._spec.channels):
            raise SuspectError("shape", f"This ONNX network takes {channels} channels, not {self._spec.channels}.")
        if height != width:
            raise SuspectError("shape", f"This ONNX network takes images of {width} by {height}; only squares fit.")
        if height is not None and self._spec.input_size not in (None, height):
            raise SuspectError("shape", f"This ONNX network takes images of {height} pixels, as its graph says.")
        return inputs[0].name, batch, height

    def _choose_outputs(self) -> tuple[str | None, str | None]:
        """Named outputs as named; where nothing is named, the only output, or the second one for scores."""
        spec, names = self._spec, [output.name for output in self._session.get_outputs()]
        for name in (spec.features_output, spec.scores_output):
            if name and name not in names:
                known = ", ".join(names[:10])
                raise SuspectError("shape", f"This ONNX network has no output “{name[:80]}”; it has: {known}.")
        wants_features = "features" in spec.returns
        features = spec.features_output or (names[0] if wants_features else None)
        scores = None
        if spec.has_scores:
            left = [name for name in names if name != (features if wants_features else None)]
            if not spec.scores_output and not left:
                raise SuspectError("shape", "This ONNX network has one output; ask for features or for labels.")
            scores = spec.scores_output or left[0]
        return features if wants_features else None, scores

    @property
    def named(self) -> Named:
        places = {output.name: number for number, output in enumerate(self._session.get_outputs(), start=1)}
        features, scores = (places.get(name or "") for name in (self._features, self._scores))
        return Named(features, scores, self._spec.scores == "logits")

    def __call__(self, images: Tensor) -> Outputs:
        answers = self._asked(images, [name for name in (self._features, self._scores) if name is not None])
        features = answers[self._features] if self._features else None
        scores = answers[self._scores] if self._scores else None
        if scores is not None and self._spec.scores == "logits":
            scores = scores.softmax(dim=1)
        return features, scores

    def every_output(self, images: Tensor) -> Mapping[int, Tensor]:
        every = [output.name for output in self._session.get_outputs()]
        if len(every) > MOST_OUTPUTS:
            raise SuspectError(
                "shape",
                f"This ONNX network has {len(every)} outputs; a suspect may have {MOST_OUTPUTS}. Export it anew with "
                "the outputs that are asked for.",
            )
        answers = self._asked(images, every, SuspectError)
        return {number: answers[name] for number, name in enumerate(every, start=1) if name in answers}

    def _asked(self, images: Tensor, wanted: list[str], *passed_over: type[SuspectError]) -> dict[str, Tensor]:
        """Rows (B, d) by output. passed_over: errors for which an output is left out, instead of refused."""
        blocks = [self._run(block, wanted) for block in images.split(self._batch or len(images))]
        answers = {}
        for name, parts in zip(wanted, zip(*blocks, strict=True), strict=True):
            with suppress(*passed_over):
                answers[name] = torch.cat([_rows(name, *part) for part in parts])
        return answers

    def _run(self, images: Tensor, wanted: list[str]) -> list[tuple[Any, int, int]]:
        """Every output's value, how many images it is about, and how many of them were asked."""
        count = len(images)
        if self._batch is not None and count < self._batch:
            images = torch.cat([images, images[-1:].expand(self._batch - count, -1, -1, -1)])
        found = self._session.run(wanted, {self._input: images.numpy().astype(np.float32, copy=False)})
        return [(value, len(images), count) for value in found]


def _rows(name: str, value: Any, given: int, count: int) -> Tensor:
    """An output's first `count` rows (B, d); maps are pooled. Raises SuspectError."""
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    if not numbers or value.ndim < 2 or value.shape[0] != given:
        shape = getattr(value, "shape", None)
        raise SuspectError("shape", f"The output “{name}” has the shape {shape}; one row per image is needed.")
    rows = torch.from_numpy(value.astype(np.float32, copy=False))[:count]
    return rows.flatten(2).mean(2) if rows.ndim > 2 else rows
