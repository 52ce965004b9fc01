"""An ONNX network on the CPU through onnxruntime. Imported in the child only, after the file passed the door."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from audits.suspects.errors import SuspectError
from audits.suspects.network import Outputs
from audits.suspects.onnx_sizes import of_any_size
from audits.suspects.spec import ModelSpec

MOST_OPENED_TWICE = 2**29  # bytes


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

    def __call__(self, images: Tensor) -> Outputs:
        wanted = [name for name in (self._features, self._scores) if name is not None]
        blocks = [self._run(block, wanted) for block in images.split(self._batch or len(images))]
        answers = {name: torch.cat([block[place] for block in blocks]) for place, name in enumerate(wanted)}
        features = answers[self._features] if self._features else None
        scores = answers[self._scores] if self._scores else None
        if scores is not None and self._spec.scores == "logits":
            scores = scores.softmax(dim=1)
        return features, scores

    def _run(self, images: Tensor, wanted: list[str]) -> list[Tensor]:
        count = len(images)
        if self._batch is not None and count < self._batch:
            images = torch.cat([images, images[-1:].expand(self._batch - count, -1, -1, -1)])
        found = self._session.run(wanted, {self._input: images.numpy().astype(np.float32, copy=False)})
        answers = []
        for name, value in zip(wanted, found, strict=True):
            if not isinstance(value, np.ndarray) or value.ndim < 2 or value.shape[0] != len(images):
                shape = getattr(value, "shape", None)
                raise SuspectError("shape", f"The output “{name}” has the shape {shape}; one row per image is needed.")
            rows = torch.from_numpy(value.astype(np.float32, copy=False))[:count]
            answers.append(rows.flatten(2).mean(2) if rows.ndim > 2 else rows)
        return answers
