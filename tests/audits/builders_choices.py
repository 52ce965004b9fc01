"""Keyed choices by hand, and a small real model that remembers the images it was trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from audits.asking.view_questions import ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.statistics.choices import Blocks
from audits.statistics.permutation import philox_from
from audits.suspects.view_pixels import ViewMaker
from tests.audits.builders_measuring import Given

SIDE = 16
WIDTH, LABELS = 24, 7


def alternatives(count: int, seed: int = 0) -> np.ndarray:
    """Pictures (count, 16, 16, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def choice_of(blocks: int, size: int = 4, seed: int = 0) -> Blocks:
    home = np.arange(blocks) * size + np.random.default_rng(seed).integers(0, size, blocks)
    return Blocks(np.repeat(np.arange(blocks), size), home)


def published_of(images: np.ndarray, choice: Blocks) -> np.ndarray:
    return np.delete(images, choice.home, axis=0)


def view_question(images: np.ndarray, views: int = 4, subject: str = "a model and one release") -> ViewQuestion:
    drawn = drawn_views(ViewSettings(views), philox_from("a plan", "views"))
    return ViewQuestion(subject, images, applied(drawn, SIDE))


class Remembering:
    """Random projections of the pixels; views of an image that it was trained on huddle by `strength`.

    It makes views as the sandbox does, and knows an image whatever its view. kinds: what it answers with.
    """

    def __init__(
        self,
        seed: int,
        trained_on: Iterable[np.ndarray] = (),
        strength: float = 0.3,
        kinds: tuple[str, ...] = ("features", "soft"),
    ) -> None:
        rng = np.random.default_rng(seed)
        self.weights = rng.normal(size=(SIDE * SIDE * 3, WIDTH)) / SIDE
        self.head = rng.normal(size=(WIDTH, LABELS)) * 2
        self.known = {image.tobytes() for image in trained_on}
        self.strength, self.kinds = strength, kinds
        self.heard: list[tuple[int, int]] = []
        self.plain_asked = 0
        self.most_held = 0

    def load_views(self, views):
        self.views = ViewMaker(views, torch.device("cpu"))

    def load_images(self, name, images):
        self.images = images
        self.most_held = max(self.most_held, len(images))
        return len(images)

    def answer(self, name, indices, mark=None):
        self.plain_asked += len(indices)
        return self._given(self.images[indices].astype(np.float32), indices)

    def answer_views(self, name, indices, views):
        pixels = torch.from_numpy(self.images[indices].transpose(0, 3, 1, 2).copy())
        seen = self.views(pixels, torch.from_numpy(views)).numpy().transpose(0, 2, 3, 1)
        self.heard += [(self.images[i].tobytes(), int(v)) for i, v in zip(indices, views, strict=True)]
        return self._given(seen, indices)

    def _given(self, pixels, indices):
        features = (pixels.reshape(len(pixels), -1) / 255 - 0.5) @ self.weights
        for row, index in enumerate(indices):
            image = self.images[index]
            if image.tobytes() in self.known:
                own = np.random.default_rng(int(image.astype(np.int64).sum())).normal(size=WIDTH)
                features[row] += self.strength * own
        logits = features @ self.head
        soft = np.exp(logits - logits.max(axis=1, keepdims=True))
        soft = (soft / soft.sum(axis=1, keepdims=True)).astype(np.float32)
        given = {"features": features.astype(np.float32), "soft": soft, "hard": soft.argmax(axis=1)}
        return Given(*(given[kind] if kind in self.kinds else None for kind in ("features", "soft", "hard")))
