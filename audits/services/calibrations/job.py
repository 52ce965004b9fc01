"""The job that calibrates: round after round, each stored when it is done, then one table.

It opens no key and asks about no release: every key is drawn for its round and forgotten.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, cast

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from audits.asking.probe_images import load_images_once
from audits.calibration import RoundResult, calibrate_round, tabulate
from audits.calibration.rounds import CalibrationError
from audits.models import Calibration, RegisteredModel
from audits.scenes.procedural import CLASSES, scenes
from audits.services.calibrations.starting import SIDE, TOO_FEW_IMAGES, least_stock, mark_ended, marks_of, settings_of
from audits.services.code_version import code_version, computes_alike
from audits.services.models.opening import sandboxed
from provenance.intake.manifest import Manifest
from provenance.models import Version
from provenance.services import log
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun
from provenance.whole_files import write_whole
from provenance.wording import verdict

if TYPE_CHECKING:
    from torch import Tensor

    from audits.calibration.null_models import NullModel
    from audits.suspects import SandboxedModel

Stock = tuple[NDArray[np.uint8], NDArray[np.int64]]
REGISTERED = "registered reference"


@job_kind("calibration.run", title="Calibrating the tests", queue="gpu", ended=mark_ended)
def run_calibration(run: JobRun) -> None:
    """Works off the rounds that are not stored yet, and makes the table of all."""
    calibration = Calibration.objects.select_related("organisation", "version").get(pk=run.params["calibration"])
    if calibration.state == Calibration.State.DONE:  # an earlier attempt was killed after its last step
        return
    if not computes_alike(calibration.code_version, code_version()):
        raise CalibrationError("The code was changed since this calibration was started; start a new one.")
    Calibration.objects.filter(pk=calibration.pk).update(state=Calibration.State.RUNNING)
    settings, marks = settings_of(calibration), marks_of(calibration)
    places = [(one, number) for one in marks for number in range(settings.rounds)]
    files = [calibration.folder / f"round-{one.family}-{number:03d}.json" for one, number in places]
    with _further_models(calibration, run, all(file.exists() for file in files)) as further:
        stock: Stock | None = None
        for draw, ((one, number), file) in enumerate(zip(places, files, strict=True)):
            run.progress(draw, len(places), f"{one.family}, round {number + 1} of {settings.rounds}")
            if file.exists():
                continue
            stock = stock or _stock(calibration, run)
            begun = monotonic()
            result = calibrate_round(settings, one, *stock, draw, further, run.checkpoint)
            text = json.dumps({"seconds": monotonic() - begun, "round": result.to_dict()})
            write_whole(file, partial(Path.write_text, data=text, encoding="utf-8"))
    run.progress(len(places), len(places), "making the table")
    stored = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    rounds = [RoundResult.from_dict(one["round"]) for one in stored]
    table = tabulate(rounds, settings, marks, calibration.code_version)
    calibration.table, calibration.holds = table.to_dict(), table.holds
    calibration.seconds = round(sum(one["seconds"] for one in stored), 1)
    _finish(calibration)
    shutil.rmtree(calibration.folder / "images", ignore_errors=True)  # the p-values stay


def _finish(calibration: Calibration) -> None:
    with transaction.atomic():
        calibration.state, calibration.finished_at = Calibration.State.DONE, timezone.now()
        calibration.save()
        details = {
            "error_rate": verdict(calibration.holds),
            "lines": len(calibration.table["rows"]),
            "code": calibration.code_version,
        }
        log.record("calibration.finished", calibration, organisation=calibration.organisation, by=None, details=details)


def _stock(calibration: Calibration, run: JobRun) -> Stock:
    """Images (n, side, side, 3) uint8 and their classes (n,) that all rounds draw from."""
    if calibration.version is not None:
        return _stock_of(calibration.version, calibration, run)
    images, labels, wanted = [], [], calibration.settings["stock"]
    for scene in scenes(settings_of(calibration).seed, wanted, SIDE):
        images.append(scene.pixels)
        labels.append(CLASSES.index(scene.label))
        run.checkpoint()
    return np.stack(images), np.array(labels)


def _stock_of(version: Version, calibration: Calibration, run: JobRun) -> Stock:
    """Images of a version, drawn by the seed.

    Images without enough classes are dealt to groups at random: the test of the assignment asks for no more.
    """
    settings = settings_of(calibration)
    rng, bench = np.random.default_rng(settings.seed), settings.bench
    with Manifest(version.manifest_folder) as manifest:
        if manifest.root != version.root:
            raise CalibrationError("The manifest on disk is not the one that this version was registered with.")
        drawn = sorted(rng.permutation(len(manifest))[: calibration.settings["stock"]].tolist())
        entries = [manifest.entry(index) for index in drawn]
    files = [(version.files_folder / entry.path, entry.sha256) for entry in entries]
    if len(files) < least_stock(bench):
        raise CalibrationError(TOO_FEW_IMAGES.format(least_stock(bench)))
    kept = calibration.folder / "images" / f"{SIDE}.npy"
    images = load_images_once(kept, files, SIDE, lambda done: run.checkpoint())
    _, labels, counts = np.unique([entry.label or "" for entry in entries], return_inverse=True, return_counts=True)
    enough = np.flatnonzero(counts >= 2 * bench.per_group)
    if len(enough) < bench.groups:
        return images, rng.permutation(np.arange(len(images)) % bench.groups)
    kept_ones = np.flatnonzero(np.isin(labels, enough))  # no group could be drawn from the smaller classes
    return images[kept_ones], labels[kept_ones].astype(np.int64)


@contextmanager
def _further_models(calibration: Calibration, run: JobRun, nothing_left: bool) -> Iterator[list[NullModel]]:
    """The registered models of this calibration, open in their confined processes."""
    with ExitStack() as stack:
        found = []
        models = calibration.references.none() if nothing_left else calibration.references.order_by("name", "pk")
        for model in models:
            run.progress(0, 0, f"opening {model.name}")
            found.append(_null_model(model, stack.enter_context(sandboxed(model)), run))
        yield found


def _null_model(model: RegisteredModel, session: SandboxedModel, run: JobRun) -> NullModel:
    """A registered model as a null model: it is sent images whose marks are in them already, in whole grey levels."""
    import torch

    from audits.calibration.null_models import NullModel

    def ask(images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        run.checkpoint()
        pixels = images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
        count = session.load_images("calibration", cast("NDArray[np.uint8]", pixels))
        answers = session.answer("calibration", range(count))
        found = [None if rows is None else torch.from_numpy(rows.copy()) for rows in (answers.features, answers.soft)]
        return found[0], found[1]

    return NullModel(model.name, REGISTERED, ask)
