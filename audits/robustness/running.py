"""Works a table off: references, then every trial before any attack and after each. What is done is kept."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from audits.pilots.checked import TrainingError
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training import Following, Progress, train
from audits.pilots.training_set import TrainingSet
from audits.robustness.attacks.attack import Attack, CopyAttack, ModelAttack
from audits.robustness.copies import Copy, RobustnessError
from audits.robustness.evader import Evader
from audits.robustness.evidence import Evidence
from audits.robustness.publishing import published
from audits.robustness.settings import RobustnessSettings
from audits.robustness.stock import Stock
from audits.robustness.suspects import Suspect
from audits.robustness.table import BEFORE, RobustnessTable, Row, read_row, tabulated
from provenance.whole_files import write_whole

Told = Callable[[float, str], None]  # lines that are done, in fractions, and what is being done; may raise to stop


def seed_of(seed: int, what: str) -> int:
    """Of one training or one attack: no two share one."""
    return int.from_bytes(hashlib.sha256(f"robustness/{seed}/{what}".encode()).digest()[:7], "big")


def measured(
    settings: RobustnessSettings, stock: Stock, work: Path, told: Told, device: torch.device
) -> RobustnessTable:
    """The whole table. work: keeps trained models and rows, so that a killed run goes on with the next row."""
    run = _Run(settings, stock, work, told, device)
    return tabulated(settings, run.rows(), run.refused)


class _Run:
    def __init__(
        self, settings: RobustnessSettings, stock: Stock, work: Path, told: Told, device: torch.device
    ) -> None:
        self.settings, self.stock, self.work, self.told, self.device = settings, stock, work, told, device
        if settings.recipe.learns_from == "classes" and not stock.all_learn_every_class:
            raise RobustnessError(
                "Some class has too few images for every part of them. Take more images, or a method without classes."
            )
        self.refused = settings.refusals(labelled=stock.task is not None)
        self.done = 0
        self._references: list[Suspect] | None = None

    def rows(self) -> Iterator[Row]:
        for trial in range(self.settings.trials):
            yield from self._trial(trial)

    def _trial(self, trial: int) -> Iterator[Row]:
        attacks = [attack for attack in self.settings.attacks if attack.title not in self.refused]
        folder = self.work / f"trial-{trial:03d}"
        files = {title: folder / f"{_name(title)}.json" for title in (BEFORE, *(attack.title for attack in attacks))}
        if all(file.exists() for file in files.values()):  # then nothing has to be trained or opened again
            self.done += len(files)
            yield from (read_row(file) for file in files.values())
            return
        one = _Trial(self, trial, folder)
        yield one.row(BEFORE, files[BEFORE], one.before)
        for attack in attacks:
            yield one.row(attack.title, files[attack.title], partial(one.after, attack))

    def references(self) -> list[Suspect]:
        """Trained once, on images that no copy holds."""
        if self._references is None:
            self._references = [
                self.suspect(self.stock.others, self.settings.recipe, f"reference {number}", self.work)
                for number in range(self.settings.references)
            ]
        return self._references

    def suspect(self, data: TrainingSet, recipe: TrainingSettings, what: str, folder: Path) -> Suspect:
        """Trained, or read where it was trained before."""
        own, weights = replace(recipe, seed=seed_of(self.settings.seed, what)), folder / f"{_name(what)}.safetensors"
        if not weights.exists():
            drafts = folder / _name(what)
            following, checkpoint = Following(partial(self._training, what)), drafts / "checkpoint.pt"
            trained = train(data, own, following, checkpoint=checkpoint, device=self.device)
            trained.save(drafts).replace(weights)
            checkpoint.unlink(missing_ok=True)
        return Suspect.read(weights, own, self.stock.task, self.device)

    def _training(self, what: str, progress: Progress) -> None:
        self.told(self.done + 0.9 * progress.step / progress.steps, f"{what}: epoch {progress.epoch}")

    def say(self, what: str) -> None:
        self.told(self.done, what)


@dataclass
class _Trial:
    """One key, with the models that were trained on its copy."""

    run: _Run
    number: int
    folder: Path

    def __post_init__(self) -> None:
        asking = partial(self.run.say, f"trial {self.number}, asking")
        self.evidence: Evidence = published(self.run.settings, self.run.stock, self.number, asking)
        self._scored: dict[str, Mapping] | None = None
        self._first: Suspect | None = None

    def row(self, title: str, file: Path, make: Callable[[], tuple[Copy, Suspect]]) -> Row:
        """Kept in its file; an attack that cannot be done is a row that says why."""
        self.run.say(self._named(title))
        if not file.exists():
            begun = time.monotonic()
            try:
                copy, suspect = make()
                row = Row(title, self.number, len(copy), suspect.accuracy(), self._found(suspect), 0)
            except TrainingError as error:
                row = Row(title, self.number, 0, None, {}, 0, failed=error.sentence)
            row = replace(row, seconds=round(time.monotonic() - begun, 2))
            text = json.dumps(row.to_json(), allow_nan=False)
            write_whole(file, partial(Path.write_text, data=text, encoding="utf-8"))
        if title != BEFORE:  # the first model serves all attacks; theirs have said all that was asked
            own = self.folder / _name(self._named(title))
            own.with_suffix(".safetensors").unlink(missing_ok=True)
            shutil.rmtree(own, ignore_errors=True)
        self.run.done += 1
        return read_row(file)

    def before(self) -> tuple[Copy, Suspect]:
        return self.evidence.copy, self.first()

    def first(self) -> Suspect:
        """Trained on the copy as it is."""
        if self._first is None:
            data, recipe = self.evidence.copy.data, self.run.settings.recipe
            self._first = self.run.suspect(data, recipe, self._named(BEFORE), self.folder)
        return self._first

    def after(self, attack: Attack) -> tuple[Copy, Suspect]:
        evader, copy = self._evader(attack), self.evidence.copy
        if isinstance(attack, ModelAttack):
            return copy, attack.offered(evader)
        if isinstance(attack, CopyAttack):
            copy = attack.copied(copy, evader)
        recipe = attack.recipe(self.run.settings.recipe)
        return copy, self.run.suspect(copy.data, recipe, self._named(attack.title), self.folder)

    def _evader(self, attack: Attack) -> Evader:
        what = self._named(attack.title)
        return Evader(
            recipe=self.run.settings.recipe,
            copy=self.evidence.copy,
            second=self.evidence.second,
            model=self.first(),
            clean=self.run.stock.clean,
            seed=seed_of(self.run.settings.seed, f"evader of {what}"),
            work=self.folder / _name(what),
            told=partial(self.run.say, what),
        )

    def _found(self, suspect: Suspect) -> dict:
        if self._scored is None:
            references = self.run.references()
            self._scored = {f"reference {n}": self.evidence.scores(one) for n, one in enumerate(references)}
        return self.evidence.found(suspect, self._scored, self.run.settings.alpha)

    def _named(self, title: str) -> str:
        return f"trial {self.number}, {title}"


def _name(title: str) -> str:
    """For a file: titles have spaces and signs."""
    plain = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return "-".join(filter(None, plain.split("-")))
