"""A model of a pilot as it is asked: in this process, by the same questions as suspects in theirs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from audits.pilots.augmentation import to_input
from audits.pilots.linear_probe import fit_probe, probe_logits
from audits.pilots.nearest import nearest_accuracy
from audits.pilots.objectives import Objective
from audits.pilots.objectives.captions import ClipObjective
from audits.pilots.objectives.classes import SupervisedObjective
from audits.suspects import Answers, AppliedMark, AppliedViews
from audits.suspects.captions import Captions
from audits.suspects.view_pixels import ViewMaker
from provenance.marks import MarkSettings, family_for

BATCH = 256
FEWEST = 8  # labelled images that nobody learnt from, below which no probe is fitted


@dataclass(frozen=True)
class Probe:
    """A linear map from features (d,) to k labels, fitted on images that no model learnt from."""

    weights: Tensor  # (d + 1, k) float64

    def soft(self, features: Tensor) -> Tensor:
        """(N, k) probabilities."""
        return probe_logits(features, self.weights).softmax(dim=1).float()


@dataclass(frozen=True)
class Quality:
    """Parts of the images kept apart whose class is found: by nearest neighbours, and by a linear probe on others."""

    nearest: float
    linear: float


class LocalModel:
    """Answers features and, where there are classes, soft labels: a classifier's own, or those of a linear probe.

    One that learnt from captions reads them, too, and then answers how close views come to their image's own.
    """

    def __init__(
        self,
        objective: Objective,
        device: torch.device,
        apart: NDArray[np.uint8],
        labels: NDArray[np.int64] | None,
        side: int,
    ) -> None:
        """apart (k, S, S, 3), labels (k,): what no model learnt from; every second one fits the probe. side: of the
        images that the network is used to, in pixels; whatever it is asked about is scaled to it."""
        self.objective, self.device, self.side = objective.eval().to(device), device, side
        self._apart, self._is_on_task = apart, False
        self.probe: Probe | None = None
        self.quality: Quality | None = None
        self._images: dict[str, Tensor] = {}
        self._views: ViewMaker | None = None
        self._captions = Captions(objective.text_tower, device) if isinstance(objective, ClipObjective) else None
        if labels is not None and len(labels) >= FEWEST:
            self._fit(torch.from_numpy(labels))

    def on_task(self, labels: NDArray[np.int64]) -> LocalModel:
        """The same network with a probe for other labels (k,) of what was kept apart; it is asked for these alone."""
        made = copy(self)
        made.probe, made._is_on_task, made._captions = None, True, None
        if len(labels) >= FEWEST:
            made._fit(torch.from_numpy(labels))
        return made

    @torch.inference_mode()
    def _fit(self, labels: Tensor) -> None:
        images = _channels_first(self._apart).to(self.device)
        parts = (self._scaled(part.float()) for part in images.split(BATCH))
        features = torch.cat([self.objective.features(part).float() for part in parts]).cpu()
        fitted, tried = slice(0, None, 2), slice(1, None, 2)
        self.probe = Probe(fit_probe(features[fitted], labels[fitted], int(labels.max()) + 1))
        said = self.probe.soft(features[tried]).argmax(dim=1)
        self.quality = Quality(nearest_accuracy(features, labels), float((said == labels[tried]).double().mean()))

    def load_images(self, name: str, images: NDArray[np.uint8]) -> int:
        self._images[name] = _channels_first(images).to(self.device)
        return len(images)

    @property
    def reads_captions(self) -> bool:
        return self._captions is not None

    def load_captions(self, name: str, captions: Sequence[str]) -> None:
        """Of the images of this name, in their order, for a model that reads them."""
        assert self._captions is not None  # noqa: S101 - `reads_captions` says so
        self._captions.load(name, captions)

    def load_views(self, views: AppliedViews) -> None:
        self._views = ViewMaker(views, self.device)

    @torch.inference_mode()
    def answer(self, name: str, indices: NDArray[np.int64], mark: AppliedMark | None = None) -> Answers:
        pixels = self._images[name][torch.from_numpy(np.ascontiguousarray(indices)).to(self.device)]
        if mark is None:
            return self._said(pixels.float())
        family = family_for(MarkSettings.from_json(mark.settings_json))
        patterns, places = torch.from_numpy(mark.patterns).to(self.device), torch.from_numpy(mark.placements)
        return self._said(family.apply(pixels, patterns, places))

    @torch.inference_mode()
    def answer_views(self, name: str, indices: NDArray[np.int64], views: NDArray[np.int64]) -> Answers:
        assert self._views is not None  # noqa: S101 - a question loads its views first
        chosen = torch.from_numpy(np.ascontiguousarray(indices)).to(self.device)
        numbers = torch.from_numpy(np.ascontiguousarray(views)).to(self.device)
        said = self._said(self._views(self._images[name][chosen], numbers))
        if self._captions is None or name not in self._captions or said.features is None:
            return said
        features = torch.from_numpy(said.features).to(self.device)
        return replace(said, captions=self._captions.cosines(name, chosen, features).cpu().numpy())

    def _said(self, pixels: Tensor) -> Answers:
        """Of grey levels (B, 3, S, S)."""
        parts = [self._of_batch(self._scaled(part)) for part in pixels.split(BATCH)]
        features = torch.cat([features for features, _ in parts]).cpu().numpy()
        labels = [soft for _, soft in parts if soft is not None]
        return Answers(features, torch.cat(labels).cpu().numpy() if labels else None, None)

    def _scaled(self, pixels: Tensor) -> Tensor:
        if pixels.shape[-1] == self.side:
            return pixels
        return functional.interpolate(pixels, (self.side, self.side), mode="bilinear", antialias=True)

    def _of_batch(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        if isinstance(self.objective, SupervisedObjective) and not self._is_on_task:
            features, logits = self.objective.encoder(to_input(pixels))
            return features.float(), functional.softmax(logits.float(), dim=1)
        features = self.objective.features(pixels).float()
        return features, self.probe.soft(features.cpu()) if self.probe else None


def _channels_first(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
