"""A small real model in NumPy, which answers like a suspect does, with or without a trace of marks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audits.asking.measuring import Marks, Question
from provenance.marks import MarkSecret, MarkSettings

GROUPS = tuple(f"group-{number}" for number in range(6))
SIZE = 16


@dataclass
class Given:
    features: np.ndarray | None
    soft: np.ndarray | None
    hard: np.ndarray | None = None
    captions: np.ndarray | None = None


class LinearModel:
    """Features are random projections of the pixels; `traces` (G, d) are added where it sees a given pattern.

    The marks are pasted by this model itself, from the settings' own family, as the sandbox does.
    """

    def __init__(self, seed: int, labels: int = 7, secret: MarkSecret | None = None, strength: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        self.weights = rng.normal(size=(SIZE * SIZE * 3, 24)) / SIZE
        self.head = rng.normal(size=(24, labels))
        self.secret, self.strength = secret, strength
        self.images: dict[str, np.ndarray] = {}
        self.asked = 0
        self.loads = 0

    def load_images(self, name, images):
        self.images[name] = images
        self.loads += 1
        return len(images)

    def answer(self, name, indices, mark=None):
        import torch

        from provenance.marks import family_for

        batch = self.images[name][indices].astype(np.float32)
        if mark is not None:
            family = family_for(MarkSettings.from_json(mark.settings_json))
            tensors = torch.from_numpy(batch.transpose(0, 3, 1, 2).copy())
            marked = family.apply(tensors, torch.from_numpy(mark.patterns), torch.from_numpy(mark.placements))
            batch = marked.numpy().transpose(0, 2, 3, 1)
        features = (batch.reshape(len(batch), -1) / 255 - 0.5) @ self.weights
        if mark is not None and self.secret is not None:
            seen = np.broadcast_to(mark.patterns, (len(batch), *mark.patterns.shape[1:]))
            for pattern, group in zip(self.secret.patterns, self.secret.assignment, strict=True):
                same = (seen == pattern).reshape(len(batch), -1).all(axis=1)
                features[same] += self.strength * group_direction(int(group)) @ self.weights
        logits = features @ self.head
        soft = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.asked += len(indices)
        return Given(features.astype(np.float32), (soft / soft.sum(axis=1, keepdims=True)).astype(np.float32))


def group_direction(group: int) -> np.ndarray:
    """What images of one group have in common, in grey levels from 0 to 1."""
    return np.random.default_rng(1000 + group).normal(size=SIZE * SIZE * 3) * 0.2


def group_images(per_group: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of every group, (6 * per_group, 16, 16, 3) uint8, and their groups."""
    rng = np.random.default_rng(seed)
    group_of = np.repeat(np.arange(len(GROUPS)), per_group)
    noise = rng.normal(size=(len(group_of), SIZE * SIZE * 3)) * 0.1
    common = np.stack([group_direction(group) for group in group_of])
    pixels = np.clip((0.5 + common + noise) * 255, 0, 255).astype(np.uint8)
    return pixels.reshape(-1, SIZE, SIZE, 3), group_of


def make_secret(seed: int) -> MarkSecret:
    rng = np.random.default_rng(seed)
    return MarkSecret.derive(rng.bytes(32), rng.bytes(32), MarkSettings(groups=GROUPS, opacity=1.0))


def marks_of(secret: MarkSecret, probes: int) -> Marks:
    places = secret.placements(f"{index:064x}" for index in range(probes))
    return Marks(secret.settings.to_json(), secret.patterns, places)


def make_question(secret: MarkSecret, probes: int = 30, wrong: MarkSecret | None = None) -> Question:
    images, group_of = group_images(8)
    probe_images, _ = group_images(probes // len(GROUPS), seed=1)
    return Question(
        subject="a linear model and one release",
        probes=probe_images,
        group_images=images,
        group_of=group_of,
        marks=marks_of(secret, len(probe_images)),
        wrong_marks=marks_of(wrong, len(probe_images)) if wrong else None,
    )
