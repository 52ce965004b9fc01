"""How often the demo finds the marked model and clears the others: fresh keys and fresh seeds for every row.

Every row trains one model on a copy that bears marks and lacks images, and one on the whole unmarked original, with
the demo's own recipe. References
of a row are clean models of the rows after it, so no seed is shared within an audit. Beyond the table, every clean
model is audited against every key: its p-values should look uniform.

    python tests/benchmarks/demo_power.py [--rows 10] [--work FOLDER] [--setting epochs=8 …]

Finished models are kept in the folder, so a run that was cut short goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import load_file

from audits.asking.measuring import Marks, Question, measure
from audits.judging.scoring import LevelScores, score_levels
from audits.pilots import clip
from audits.pilots.recipe import PROMPT, TINY_CLIP, TrainingSettings
from audits.pilots.training import save_weights, train
from audits.pilots.training_set import TrainingSet
from audits.scenes import demonstration, procedural
from audits.statistics.density import LEVELS
from audits.statistics.permutation import permutation_test
from audits.suspects import Answers, AppliedMark
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, family_for, plan_groups
from tests.benchmarks.demo_home import Home, home_scores, home_test, left_home

SIDE = TINY_CLIP["vision_cfg"]["image_size"]
GROUPS = len(procedural.CLASSES)


class File(NamedTuple):
    """One file of the set, as marks read it."""

    path: str
    sha256: str
    label: str
    caption: str
    data: bytes


def original() -> list[File]:
    files = []
    for item in procedural.scenes(demonstration.IMAGE_SEED, demonstration.IMAGES, demonstration.IMAGE_SIDE):
        data = procedural.jpeg(item.pixels)
        files.append(File(item.path, hashlib.sha256(data).hexdigest(), item.label, item.caption, data))
    return sorted(files)


def decoded(data: bytes, side: int = SIDE) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0))


class Release(NamedTuple):
    """A copy: its secrets, and everything an audit of it asks about."""

    secret: MarkSecret
    home: Home
    pairs: TrainingSet
    question: Question
    psnr: float


def release(row: int, files: list[File], clean: np.ndarray, settings: MarkSettings) -> Release:
    """The copy of row's key, and its question: probes and group images are never candidates for marks, and none of
    them stands in a block in which one stayed home."""
    key, beacon = (hashlib.sha256(f"demo power {what} {row}".encode()).digest() for what in ("key", "beacon"))
    secret = MarkSecret.derive(key, beacon, settings)
    plan = plan_groups(files, settings.group_by, settings.groups, settings.share)
    home = left_home(key, beacon, [file.label for file in files])
    candidates = secret.candidates(files, [group.images for group in plan.groups], home.reserved)
    images, psnrs = clean.copy(), []
    for group in candidates:
        pattern = secret.patterns[secret.pattern_of_group[group.group]]
        done = 0
        for candidate in group.images:
            if done == group.wanted:
                break
            try:
                place = secret.placement(candidate.sha256)
                marked = mark_image(files[candidate.position].data, family_for(settings), pattern, place)
            except NotMarkableError:
                continue
            images[candidate.position] = decoded(marked.data)
            psnrs.append(marked.psnr)
            done += 1
    excluded = home.reserved.union(candidate.position for group in candidates for candidate in group.images)
    probes = secret.probes(files, demonstration.PROBES, excluded)
    of_groups = secret.group_images(files, demonstration.GROUP_IMAGES, excluded)
    question = Question(
        subject=f"row {row}",
        probes=clean[probes],
        group_images=clean[[index for group in of_groups for index in group]],
        group_of=np.repeat(np.arange(GROUPS), [len(group) for group in of_groups]),
        marks=Marks(settings.to_json(), secret.patterns, secret.placements(files[i].sha256 for i in probes)),
    )
    kept = np.delete(np.arange(len(files)), home.at_home)
    pairs = TrainingSet(images[kept], tuple(files[place].caption for place in kept))
    return Release(secret, home, pairs, question, float(np.mean(psnrs)))


class InProcess:
    """A model of our own, asked without a sandbox: the benchmark trained it a moment ago."""

    def __init__(self, model: CLIP, settings: MarkSettings) -> None:
        self.model = model
        self.family = family_for(settings)
        self.images: dict[str, np.ndarray] = {}

    def load_images(self, name: str, images: np.ndarray) -> int:
        self.images[name] = images
        return len(images)

    def answer(self, name: str, indices: np.ndarray, mark: AppliedMark | None = None) -> Answers:
        images = torch.from_numpy(self.images[name][indices]).permute(0, 3, 1, 2).float()
        if mark is not None:
            images = self.family.apply(images, torch.from_numpy(mark.patterns), torch.from_numpy(mark.placements))
        answers = clip.answers(self.model, images, procedural.CLASSES, PROMPT)
        return Answers(answers.features, answers.soft, answers.soft.argmax(axis=1))


def scores(model: CLIP, of: Release) -> dict[Any, LevelScores]:
    with tempfile.TemporaryDirectory() as folder:
        answers = measure(of.question, Path(folder), InProcess(model, of.secret.settings), lambda _: None)
        return score_levels(answers, GROUPS, of.question.group_of)[0]


def trained(folder: Path, name: str, pairs: TrainingSet, settings: TrainingSettings) -> tuple[CLIP, float]:
    weights = folder / f"{name}.safetensors"
    if weights.exists():
        model = clip.build(TINY_CLIP, settings.seed)
        model.load_state_dict(load_file(weights))
        return model.eval(), 0.0
    run = train(pairs, settings)
    save_weights(run.model, weights)
    return run.model, run.seconds


def accuracy(model: CLIP) -> float:
    fresh = list(procedural.scenes(demonstration.IMAGE_SEED + 1, 500, demonstration.IMAGE_SIDE))
    images = np.stack([decoded(procedural.jpeg(item.pixels)) for item in fresh])
    seen = clip.answers(model, torch.from_numpy(images).permute(0, 3, 1, 2), procedural.CLASSES, PROMPT).soft
    return float(np.mean([procedural.CLASSES[i] == item.label for i, item in zip(seen.argmax(1), fresh, strict=True)]))


def p_values(
    own: dict[Any, LevelScores],
    of: Release,
    references: list[dict[Any, LevelScores]],
    permutations: int = demonstration.PERMUTATIONS,
) -> list[float]:
    """p at the three levels without references and, where there are some, with them."""
    found = []
    for against in [[], references] if references else [[]]:
        for level in LEVELS:
            others = [reference[level].pulls for reference in against]
            rng = np.random.default_rng(0)
            test = permutation_test(own[level].pulls, of.secret.assignment, permutations, rng, others or None)
            found.append(test.p)
    return found


def say(line: str) -> None:
    print(line, flush=True)


def number(text: str) -> int | float | bool:
    return {"True": True, "False": False}.get(text, float(text) if "." in text or "e" in text else int(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "demo_power")
    parser.add_argument("--setting", nargs="*", default=[], help="epochs=8 batch_size=128 share=0.2 opacity=0.6 …")
    options = parser.parse_args()
    changes = {name: number(value) for name, _, value in (item.partition("=") for item in options.setting)}
    marks = demonstration.mark_settings()
    marks = replace(marks, **{name: value for name, value in changes.items() if hasattr(marks, name)})
    recipe = demonstration.training_settings(0)
    recipe = replace(recipe, **{name: value for name, value in changes.items() if hasattr(recipe, name)})
    tag = hashlib.sha256(repr((marks, recipe, demonstration.IMAGES, demonstration.HOME)).encode()).hexdigest()[:12]
    folder = options.work / tag
    folder.mkdir(parents=True, exist_ok=True)

    files = original()
    clean = np.stack([decoded(file.data) for file in files])
    captions = tuple(file.caption for file in files)
    started = time.monotonic()
    suspects, cleans, releases = [], [], []
    for row in range(options.rows):
        of = release(row, files, clean, marks)
        suspect, spent = trained(folder, f"marked-{row}", of.pairs, replace(recipe, seed=1000 + row))
        other, spent_clean = trained(
            folder, f"clean-{row}", TrainingSet(clean, captions), replace(recipe, seed=2000 + row)
        )
        suspects.append(suspect), cleans.append(other), releases.append(of)
        alone = p_values(scores(suspect, of), of, [])
        say(
            f"row {row}: {spent:.0f} s, {spent_clean:.0f} s; accuracy {accuracy(suspect):.2f} marked, "
            f"{accuracy(other):.2f} clean; PSNR {of.psnr:.1f} dB; p {', '.join(f'{p:.1g}' for p in alone)}"
        )
    at_home(suspects, cleans, releases, clean, captions)
    asked = Asked(releases)
    table(suspects, cleans, asked)
    nulls(cleans, asked)
    say(f"\n{time.monotonic() - started:.0f} s in all.")


def at_home(
    suspects: list[CLIP], cleans: list[CLIP], releases: list[Release], clean: np.ndarray, captions: tuple[str, ...]
) -> None:
    """One line per key and model: z and p of what stayed home, by both scores, without and with references."""
    say("\n| key and seeds | suspect | score | z | p | z, references | p, references |\n|---|---|---|---|---|---|---|")
    for row, of in enumerate(releases):
        others = [cleans[(row + step) % len(cleans)] for step in range(1, demonstration.REFERENCES + 1)]
        references = [home_scores(other, of.home, clean, captions) for other in others if other is not cleans[row]]
        for name, model in (("copy", suspects[row]), ("original", cleans[row])):
            own = home_scores(model, of.home, clean, captions)
            alone, beside = home_test(own, of.home, clean), home_test(own, of.home, clean, references)
            for score, (z, p) in alone.items():
                more = " | ".join(f"{value:.2g}" for value in beside[score]) if references else "– | –"
                say(f"| {row + 1} | {name} | {score} | {z:.1f} | {p:.2g} | {more} |")


class Asked:
    """Scores of every pair of a model and a key, each asked once."""

    def __init__(self, releases: list[Release]) -> None:
        self.releases = releases
        self._known: dict[tuple[int, int], dict[Any, LevelScores]] = {}

    def scores(self, model: CLIP, row: int) -> dict[Any, LevelScores]:
        key = (id(model), row)
        if key not in self._known:
            self._known[key] = scores(model, self.releases[row])
        return self._known[key]


def table(suspects: list[CLIP], cleans: list[CLIP], asked: Asked) -> None:
    """One row per key: p of the marked suspect and of the clean one, without and with references."""
    say("\n| key and seeds | suspect | features | soft | hard | features, refs | soft, refs | hard, refs |")
    say("|---|---|---|---|---|---|---|---|")
    found = cleared = 0
    for row, of in enumerate(asked.releases):
        others = [cleans[(row + step) % len(cleans)] for step in range(1, demonstration.REFERENCES + 1)]
        references = [asked.scores(other, row) for other in others if other is not cleans[row]]
        for name, model in (("marked copy", suspects[row]), ("original", cleans[row])):
            values = p_values(asked.scores(model, row), of, references)
            say(f"| {row + 1} | {name} | " + " | ".join(f"{p:.2g}" for p in values) + " |")
            found += name == "marked copy" and values[0] <= demonstration.ALPHA
            cleared += name == "original" and values[0] > demonstration.ALPHA
    say(
        f"\nAt alpha {demonstration.ALPHA}, features without references: "
        f"{found} of {len(asked.releases)} marked found, "
        f"{cleared} of {len(asked.releases)} clean cleared."
    )


def nulls(cleans: list[CLIP], asked: Asked) -> None:
    """Every clean model against every key: the share of p-values at or below 0.05 and 0.01."""
    rows = np.array(
        [
            p_values(asked.scores(model, row), of, [], permutations=10_000)
            for model in cleans
            for row, of in enumerate(asked.releases)
        ]
    )
    say(f"\n{len(rows)} pairs of a clean model and a key:")
    for index, level in enumerate(LEVELS):
        shares = ", ".join(f"{np.mean(rows[:, index] <= a):.3f} at {a}" for a in (0.05, 0.01))
        say(f"- {level}: p <= alpha in {shares}; smallest {rows[:, index].min():.2g}")


if __name__ == "__main__":
    main()
