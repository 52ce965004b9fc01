"""The demo's images at home, for `demo_power.py`: what a key leaves home, and what an audit says of a model about it.

Blocks are of images of one class that follow each other in the order of files; the demo's own are of images whose
hashes are alike. The rest is the product's own: choice, views, questions, scores, tests.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from open_clip.model import CLIP

from audits.asking.measuring import measure
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.judging.assignments import Rules
from audits.judging.choices import Choices, judge_choice
from audits.judging.membership import MembershipScores, membership_levels
from audits.pilots import clip
from audits.pilots.recipe import PROMPT
from audits.robustness.publishing import blocks_in_order
from audits.scenes import demonstration, procedural
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from audits.statistics.permutation import philox_from
from audits.suspects import Answers, AppliedViews
from audits.suspects.view_pixels import ViewMaker
from provenance.marks import WithheldSettings
from provenance.marks.keyed_choice import choose

CPU = torch.device("cpu")


class Home(NamedTuple):
    """What a key chose: positions of all alternatives, block by block, and of those that stay home."""

    positions: np.ndarray
    blocks: Blocks
    reserved: frozenset[int]
    at_home: np.ndarray


def left_home(key: bytes, beacon: bytes, labels: Sequence[str]) -> Home:
    """As the second of a release's two sets."""
    settings = WithheldSettings("0" * 64, share=demonstration.HOME)
    made = blocks_in_order(np.unique(labels, return_inverse=True)[1], len(labels), settings.block_size)
    chosen = choose(key, beacon, settings, made, number=1)
    blocks = Blocks(chosen.block_of, chosen.home)
    return Home(chosen.positions, blocks, frozenset(chosen.positions.tolist()), chosen.positions[chosen.home])


class Seeing:
    """A model of our own that answers about views and captions in this process."""

    def __init__(self, model: CLIP) -> None:
        self.model = model.eval()

    def load_images(self, name: str, images: np.ndarray) -> int:
        self.images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        return len(images)

    def load_views(self, views: AppliedViews) -> None:
        self.views = ViewMaker(views, CPU)

    @torch.inference_mode()
    def load_captions(self, name: str, captions: Sequence[str]) -> None:
        self.read = self.model.encode_text(clip.tokens_of(captions, self.model.context_length), normalize=True)

    def answer(self, name: str, indices: np.ndarray, mark: object = None) -> Answers:
        raise AssertionError("No image is asked about as it is.")

    def answer_views(self, name: str, indices: np.ndarray, views: np.ndarray) -> Answers:
        places = torch.from_numpy(indices)
        seen = self.views(self.images[places], torch.from_numpy(views))
        found = clip.answers(self.model, seen, procedural.CLASSES, PROMPT)
        cosines = (torch.from_numpy(found.features) * self.read[places]).sum(dim=1).numpy()
        return Answers(found.features, found.soft, None, cosines)


def home_scores(model: CLIP, home: Home, clean: np.ndarray, captions: Sequence[str]) -> MembershipScores:
    """At the level of features: density of views, and density to the own caption."""
    drawn = drawn_views(ViewSettings(demonstration.VIEWS), philox_from("demo power", "views"))
    images = clean[home.positions]
    question = ViewQuestion(
        "demo power", images, applied(drawn, images.shape[1]), [captions[place] for place in home.positions]
    )
    with tempfile.TemporaryDirectory() as folder:
        measure(question, Path(folder), Seeing(model), lambda _: None)
        return membership_levels(ViewAnswers(Path(folder), len(images)))[0]["features"]


def home_test(
    own: MembershipScores, home: Home, clean: np.ndarray, references: Sequence[MembershipScores] = ()
) -> dict[str, tuple[float, float]]:
    """z and p of every score, references taken out where there are some."""
    rules = Rules("demo power", "features", demonstration.ALPHA, 0, bool(references), score="caption")
    choices = Choices(home.blocks, None, picture_covariates([clean[home.positions]]))
    named = {f"reference {number}": one for number, one in enumerate(references)}
    found = judge_choice("features", own, named, choices, rules, "demo power")
    return {test.score: (test.z, test.p) for test in found.scores}
