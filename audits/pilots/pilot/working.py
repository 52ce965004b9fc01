"""A pilot is worked off training by training: what is done lies on disk, and no training starts that time forbids."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from audits.pilots import training as loop
from audits.pilots.objectives import Objective, objective_of
from audits.pilots.pilot.auditing import Auditor, Found
from audits.pilots.pilot.copies import StruckCopy, strike, withhold
from audits.pilots.pilot.found import LineFound, PilotFound
from audits.pilots.pilot.learnt import Made, resized, training_set
from audits.pilots.pilot.line_audits import LineAudits
from audits.pilots.pilot.local_model import LocalModel
from audits.pilots.pilot.pool import Pool, Scaled, check_count, counts_of, struck_in, withheld_in
from audits.pilots.pilot.settings import Line, PilotError, PilotSettings
from audits.pilots.recipe import TrainingSettings, steps_of
from audits.pilots.training_set import TrainingSet
from provenance.marks import ImageBlocks, MarkSettings, WithheldSettings
from provenance.whole_files import write_whole


@dataclass(frozen=True)
class Progress:
    """done: steps of all trainings, of `total`; curve: of the training that is running."""

    done: int
    total: int
    line: Line
    epoch: int
    curve: tuple[dict[str, float], ...]


def check(settings: PilotSettings, pool: Pool, whole: ImageBlocks | None) -> tuple[Scaled, ...]:
    """What every proposal becomes among the pilot's images. Raises PilotError for what cannot be tried on them."""
    if "supervised" in settings.methods and pool.labels is None:
        raise PilotError("A classifier needs a class for every image; choose a method that learns without.")
    if "clip" in settings.methods and pool.captions is None:
        raise PilotError("CLIP needs a caption or a class for every image; choose a method that learns without.")
    found = []
    for proposal, counts in zip(settings.proposals, pool.counts, strict=True):
        if proposal.struck:
            found.append(struck_in(pool, proposal.struck, counts))
        elif proposal.withheld and whole is not None:
            found.append(withheld_in(pool, proposal.withheld, whole))
        else:
            raise PilotError("The blocks that something is to stay home of are gone; make blocks anew.")
    _check_variations(settings, pool)
    least = len(pool) - max(one.there for one in found)
    if least < settings.batch_size:
        raise PilotError(f"{least} images do not fill one batch of {settings.batch_size}; make batches smaller.")
    return tuple(found)


def _check_variations(settings: PilotSettings, pool: Pool) -> None:
    if any(one.method == "supervised" for one in settings.varied) and pool.labels is None:
        raise PilotError("A classifier needs a class for every image; leave it out of what is varied.")
    if not any(one.mixed for one in settings.varied):
        return
    if pool.others is None:
        raise PilotError("The version whose images are to be mixed in is gone; start a pilot with another one.")
    check_count(settings, len(pool), len(pool.others))
    if settings.methods[0] == "clip" and pool.others.captions is None:
        raise PilotError("CLIP needs captions for the images that are mixed in too; choose another version.")


class Work:
    """One pilot on its way. folder: where trainings are kept until it is done; told: may raise to end the work."""

    def __init__(
        self,
        settings: PilotSettings,
        pool: Pool,
        whole: ImageBlocks | None,
        folder: Path,
        told: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.settings, self.pool, self.folder, self.told = settings, pool, folder, told
        self.scaled = check(settings, pool, whole)
        self.device = torch.device("cpu") if settings.device == "cpu" else loop.device_here()
        self.done: list[LineFound] = []
        self.lines = settings.lines()
        auditor = Auditor(settings, pool, folder, self._step)
        self.audits = LineAudits(settings, folder, auditor, self._twin)
        self._twins: dict[Line, LocalModel] = {}
        self._at: Progress | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> PilotFound:
        """Everything that time allows; raises TrainingError and whatever `told` raises."""
        missing: list[str] = []
        for line in self.lines:
            kept = self.folder / f"{line.name}.json"
            if kept.exists():
                self.done.append(LineFound.from_json(json.loads(kept.read_text(encoding="utf-8"))))
            elif missing or not self._has_time(line):
                missing.append(line.name)
            else:
                found = self._worked_off(line)
                text = json.dumps(found.to_json())
                write_whole(kept, partial(Path.write_text, data=text, encoding="utf-8"))
                self.done.append(found)
        pool = self.pool
        return PilotFound(
            lines=tuple(self.done),
            missing=tuple(missing),
            images=len(pool),
            of=pool.of,
            apart=len(pool.apart),
            device=_named(self.device),
            learnt_from=pool.digest,
        )

    def twin_weights(self, line: Line) -> Path:
        """Where those of a twin lie until the folder goes."""
        return self.folder / line.name / "model.safetensors"

    def _has_time(self, line: Line) -> bool:
        """Whether it would end in time if it took as long as those of its method did so far, or of any."""
        alike = [one.seconds for one in self.done if one.line.method == line.method]
        expected = fmean(alike or [one.seconds for one in self.done] or [0.0])
        return sum(one.seconds for one in self.done) + expected <= 60 * self.settings.minutes

    def _worked_off(self, line: Line) -> LineFound:
        settings = self.settings.training(line)
        self._at = Progress(100 * len(self.done), 100 * len(self.lines), line, 0, ())
        self._step()
        begun = time.monotonic()
        made = self._made(line)
        data = training_set(self.pool, made, line.varied)
        at = time.monotonic()
        trained = self._trained(line, settings, data, made)
        before = max(0.0, trained.seconds - (time.monotonic() - at))  # of attempts before this one
        model = self._model(settings, data, trained.model.state_dict())
        if line.is_twin:
            self._twins[line] = model
        twins = self._twins_of(line)
        found, aucs = self.audits.of(line, made, model, twins) if made else (Found({}, {}, 0), {})
        tasks = self.audits.on_tasks(line, made, model, twins) if made else {}
        grown = self.audits.grown(line)
        if line.is_twin:
            (self.folder / line.name / "checkpoint.pt").unlink()
        else:
            shutil.rmtree(self.folder / line.name)
        quality = model.quality
        return LineFound(
            line=line,
            seconds=round(before + time.monotonic() - begun, 2),
            images=len(data),
            curve=_curve(trained.curve),
            nearest=quality.nearest if quality else None,
            linear=quality.linear if quality else None,
            levels=found.levels,
            reasons=found.reasons,
            queries=found.queries,
            marked=made.marked if made else 0,
            wanted=made.scaled.wanted if made else 0,
            looks=made.looks if made else None,
            aucs=aucs,
            grown=grown,
            tasks=tasks,
        )

    def _made(self, line: Line) -> Made | None:
        """What the training's own key makes of the pool; nothing for a twin."""
        if line.proposal is None:
            return None
        scaled, pool = self.scaled[line.proposal], self.pool
        key, beacon = (self.settings.drawn(f"{what} of {line.name}") for what in ("key", "beacon"))
        if isinstance(scaled.settings, WithheldSettings):
            published, choice = withhold(pool, scaled.settings, key, beacon)
            return Made(pool.images, published, scaled, choice=choice)
        copy = self._struck(scaled.settings, key, beacon)
        return Made(copy.images, np.arange(len(pool)), scaled, copy=copy)

    def _struck(self, settings: MarkSettings, key: bytes, beacon: bytes) -> StruckCopy:
        return strike(
            self.pool,
            settings,
            counts_of(self.pool.grouped(settings), settings),
            key,
            beacon,
            probes=self.settings.probes,
            group_images=self.settings.group_images,
            folder=self.folder,
            step=self._step,
        )

    def _trained(self, line: Line, settings: TrainingSettings, data: TrainingSet, made: Made | None) -> loop.Trained:
        steps, place = steps_of(settings, len(data)), len(self.done)

        def told(progress: loop.Progress) -> None:
            part = 100 * progress.step // steps
            curve = _curve(progress.curve)
            self._at = Progress(100 * place + part, 100 * len(self.lines), line, progress.epoch, curve)
            self._step()

        def look(epoch: int, objective: Objective) -> None:
            self.audits.look(line, made, epoch, self._local(objective, settings.side))

        labels = self.pool.apart_labels
        apart = resized(self.pool.apart, settings.side) if settings.side != self.settings.pixels else self.pool.apart
        watched = loop.Watched(apart, labels) if labels is not None and len(labels) > 1 else None
        following = loop.Following(told, watched=watched, epoch_done=look)
        place_of = self.folder / line.name
        place_of.mkdir(exist_ok=True)
        checkpoint = place_of / "checkpoint.pt"
        trained = loop.train(data, settings, following, checkpoint=checkpoint, device=self.device)
        if line.is_twin:
            trained.save(place_of)
        return trained

    def _twins_of(self, line: Line) -> list[Line]:
        return [one.line for one in self.done if one.line.is_twin and one.line.method == line.method]

    def _twin(self, line: Line) -> LocalModel:
        """From memory, or from the weights that an earlier attempt stored."""
        if line not in self._twins:
            from safetensors.torch import load_file

            settings = self.settings.training(line)
            weights = load_file(self.twin_weights(line))
            self._twins[line] = self._model(settings, training_set(self.pool, None), weights)
        return self._twins[line]

    def _model(self, settings: TrainingSettings, data: TrainingSet, weights: dict[str, torch.Tensor]) -> LocalModel:
        with torch.random.fork_rng(devices=[]):
            objective = objective_of(settings, data)
        objective.model.load_state_dict(weights)
        return self._local(objective, settings.side)

    def _local(self, objective: Objective, side: int) -> LocalModel:
        return LocalModel(objective, self.device, self.pool.apart, self.pool.apart_labels, side)

    def _step(self) -> None:
        if self._at is not None:
            self.told(self._at)


def _curve(points: tuple[loop.EpochPoint, ...]) -> tuple[dict[str, float], ...]:
    """Rounded for people; what was not seen has no key."""
    seen = ({name: value for name, value in asdict(point).items() if value is not None} for point in points)
    return tuple({name: round(value, 4) for name, value in point.items()} for point in seen)


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
