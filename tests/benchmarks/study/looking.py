"""One look at an encoder in training: views, answers and membership scores, as the product makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audits.asking.view_questions import ViewAnswers
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.judging.membership import MembershipScores, membership_levels
from audits.pilots.clip import tokens_of
from audits.pilots.linear_probe import fit_probe, probe_logits
from audits.pilots.objectives import Objective
from audits.pilots.objectives.captions import ClipObjective
from audits.pilots.recipe import TINY_CLIP
from audits.pilots.threads import linear_algebra_threads
from audits.statistics.density import Level
from audits.statistics.permutation import philox_from
from audits.suspects.view_pixels import ViewMaker
from provenance.whole_files import write_whole
from tests.benchmarks.study.cells import Cell
from tests.benchmarks.study.images import Labelled

VIEWS = 10
CROPS = (0.6, 0.2)  # the smallest share of a view: the plan's default, and what the learners here go down to
BATCH = 500


class Answers(ViewAnswers):
    """Answers that are held in memory: features (n, V, d), soft labels (n, V, k)."""

    def __init__(self, **held: NDArray[np.float32] | None) -> None:
        self.held = {kind: values for kind, values in held.items() if values is not None}

    def has(self, kind: str) -> bool:
        return kind in self.held

    def parts(self, kind: str) -> Iterator[NDArray[np.float32]]:
        yield from np.array_split(self.held[kind], max(1, len(self.held[kind]) // 256))


class Looker:
    """Asks every encoder about the same views of the pool; labels come from a probe on images nobody trained on."""

    def __init__(self, cell: Cell, pool: Labelled, foreign: Labelled) -> None:
        self.pool = torch.from_numpy(pool.images).permute(0, 3, 1, 2).contiguous()
        self.captions = pool.captions if cell.method.learns_from == "captions" else None
        foreign = foreign.scaled(cell.side)
        half = len(foreign.labels) // 2
        self.probed, self.checked = (foreign.part(part) for part in (np.arange(half), np.arange(half, 2 * half)))

    @torch.inference_mode()
    def look(self, objective: Objective, folder: Path) -> None:
        """Writes the scores at every level and crop, and the probe's accuracy; in single precision, as audits ask."""
        trained_with = objective.settings
        objective.settings = replace(trained_with, bfloat16=False)
        try:
            with linear_algebra_threads(trained_with.threads):
                self._look(objective, folder)
        finally:
            objective.settings = trained_with

    def _look(self, objective: Objective, folder: Path) -> None:
        probe = fit_probe(
            _features(objective, self.probed.images),
            torch.from_numpy(self.probed.labels),
            int(self.probed.labels.max()) + 1,
        )
        said = _labels(_features(objective, self.checked.images), probe).argmax(dim=1)
        accuracy = float((said.numpy() == self.checked.labels).mean())
        kept: dict[str, NDArray[np.float64]] = {"accuracy": np.array(accuracy)}
        for crop in CROPS:
            for level, scores in self._scores(objective, probe, crop).items():
                kept |= {f"{crop}/{level}/{name}": values for name, values in scores.scores.items()}
        write_whole(folder / "scores.npz", lambda part: _save(part, kept))

    def _scores(self, objective: Objective, probe: Tensor, crop: float) -> dict[Level, MembershipScores]:
        views = drawn_views(ViewSettings(VIEWS, crop), philox_from("the study", f"views of {crop}"))
        maker = ViewMaker(applied(views, self.pool.shape[-1]), torch.device("cpu"))
        features = []
        for images in self.pool.split(BATCH // VIEWS):
            numbers = torch.arange(VIEWS).repeat(len(images))
            pixels = maker(images.repeat_interleave(VIEWS, dim=0), numbers)
            features.append(objective.features(pixels))
        known = torch.cat(features)
        shape = len(self.pool), VIEWS, -1
        answers = Answers(
            features=known.reshape(shape).numpy(),
            soft=_labels(known, probe).reshape(shape).numpy(),
            captions=self._cosines(objective, known),
        )
        return membership_levels(answers)[0]

    def _cosines(self, objective: Objective, known: Tensor) -> NDArray[np.float32] | None:
        """(n, V, 1) of every view with its picture's own caption, where the encoder learns from captions."""
        if self.captions is None or not isinstance(objective, ClipObjective):
            return None
        tokens = tokens_of(self.captions, TINY_CLIP["text_cfg"]["context_length"])
        read = torch.cat([objective.clip.encode_text(part, normalize=True) for part in tokens.split(BATCH)])
        cosines = (known.reshape(len(read), VIEWS, -1) * read[:, None]).sum(dim=2, keepdim=True)
        return cosines.float().numpy()


def read_scores(folder: Path, crop: float) -> tuple[dict[Level, MembershipScores], float]:
    """What a look left: scores by level, and the probe's accuracy."""
    levels: dict[Level, dict] = {}
    with np.load(folder / "scores.npz", allow_pickle=False) as kept:
        for name in kept.files:
            if name.startswith(f"{crop}/"):
                _, level, score = name.split("/")
                levels.setdefault(level, {})[score] = kept[name]  # type: ignore[arg-type]
        return {level: MembershipScores(scores, 0) for level, scores in levels.items()}, float(kept["accuracy"])


def _save(part: Path, kept: dict[str, NDArray[np.float64]]) -> None:
    with part.open("wb") as stream:
        np.savez(stream, **kept)


def _features(objective: Objective, images: NDArray[np.uint8]) -> Tensor:
    levels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return torch.cat([objective.features(part.float()) for part in levels.split(BATCH)])


def _labels(features: Tensor, probe: Tensor) -> Tensor:
    return probe_logits(features, probe).softmax(dim=1).float()
