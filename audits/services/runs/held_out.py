"""The tests of others that compare released with held-out images: which images, and what models answer to them.

Only where a plan names a version whose images never left the house. Answers are kept per block like all others of an
audit, so another attempt goes on where this one was killed; nothing here is secret.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import CLEAN, Marks, Question, measure
from audits.asking.probe_images import ProbeImageError, load_images_once
from audits.models import Audit, RegisteredModel
from audits.other_tests import (
    GMM_LIKELIHOOD,
    VIEW_CONSISTENCY,
    OtherTestError,
    gmm_likelihood,
    random_views,
    view_consistency,
)
from audits.services.answers.kept import own_folder
from audits.services.models.opening import sandboxed
from audits.services.plans.other_tests import VIEWED_IMAGES, VIEWS, gives_features, most_images, shadow_of
from audits.services.plans.values import PlanError
from audits.services.runs.other_tests import Comparison
from audits.statistics.permutation import philox_from
from provenance.intake.manifest import Entry, Manifest
from provenance.models import Release, Version
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:
    from audits.suspects import SandboxedModel

Files = list[tuple[Path, str]]
Features = NDArray[np.float32]

HELD_OUT = "held-out"
NO_HELD_OUT = (
    "The plan names no held-out images: a version of the same kind of images that never left the house is needed."
)
NO_FEATURES = "This test looks at features, and the suspect returns none."
NO_SHADOW = "The plan has no reference that returns features and could serve as the model that never saw the release."


@dataclass
class HeldOutAnswers:
    """Per release what released and held-out images gave, and what asking took."""

    by_release: dict[str, Comparison]
    models: list[dict[str, Any]] = field(default_factory=list)

    def of(self, release: Release) -> Comparison:
        return self.by_release[str(release.pk)]

    def added_to(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """An audit's facts with these passes and seconds counted in."""
        own = {model["name"]: model for model in self.models}
        models = [dict(model) for model in facts["models"]]
        for model in models:
            if spent := own.get(model["name"]):
                model["forward_passes"] += spent["forward_passes"]
                model["seconds"] = round(model["seconds"] + spent["seconds"], 2)
        passes = sum(spent["forward_passes"] for spent in self.models)
        return {**facts, "models": models, "forward_passes": facts["forward_passes"] + passes}


def ask_held_out(run: JobRun, audit: Audit) -> HeldOutAnswers:
    """Asks the suspect, and one reference as shadow model, about released and held-out images, if the plan has any."""
    plan = audit.plan
    releases = list(plan.releases.order_by("recipient", "pk"))
    shadow = shadow_of(list(plan.references.order_by("name", "pk")))
    nothing = Comparison()
    if plan.held_out is None or not gives_features(plan.suspect):
        reason = NO_HELD_OUT if plan.held_out is None else NO_FEATURES
        nothing.leave_out(GMM_LIKELIHOOD, reason)
        nothing.leave_out(VIEW_CONSISTENCY, reason)
        return HeldOutAnswers({str(release.pk): nothing for release in releases})
    asking = _Asking(run, audit, releases)
    try:
        asking.choose(plan.held_out)
        suspect, suspect_views = asking.of_model(plan.suspect, images=True, views=shadow is not None)
        shadow_views = asking.of_model(shadow, images=False, views=True)[1] if shadow else {}
    except ProbeImageError as error:  # the audit itself needs none of these files
        nothing.leave_out(GMM_LIKELIHOOD, error.sentence)
        nothing.leave_out(VIEW_CONSISTENCY, error.sentence)
        return HeldOutAnswers({str(release.pk): nothing for release in releases}, asking.spent)
    return HeldOutAnswers(
        {name: _verdicts(plan.digest, name, suspect, suspect_views, shadow_views) for name in asking.released},
        asking.spent,
    )


def _verdicts(
    digest: str,
    release: str,
    suspect: Mapping[str, Features],
    suspect_views: Mapping[str, Features],
    shadow_views: Mapping[str, Features],
) -> Comparison:
    found = Comparison()
    seed = int(philox_from(digest, f"{release}/mixture").integers(2**31))
    try:
        found.add("features", None, gmm_likelihood(suspect[release], suspect[HELD_OUT], seed))
    except OtherTestError as error:
        found.leave_out(GMM_LIKELIHOOD, error.sentence)
    if not shadow_views:
        found.leave_out(VIEW_CONSISTENCY, NO_SHADOW)
        return found
    tables = [views[name] for views in (suspect_views, shadow_views) for name in (release, HELD_OUT)]
    try:
        found.add("features", None, view_consistency(*tables))
    except OtherTestError as error:
        found.leave_out(VIEW_CONSISTENCY, error.sentence)
    return found


class _Asking:
    """The images of all releases and the held-out ones, and what models answered to them."""

    def __init__(self, run: JobRun, audit: Audit, releases: Sequence[Release]) -> None:
        self.run, self.audit, self.releases = run, audit, releases
        self.released: dict[str, Files] = {}
        self.held_out: Files = []
        self.viewed = 0
        self.spent: list[dict[str, Any]] = []

    def choose(self, held_out: Version) -> None:
        """Files in an order that the plan's digest fixes: of every release as it went out, and of the held-out version.

        All files of a release count, marked or not: these tests ask whether it was trained on, not by which mark.
        """
        plan = self.audit.plan
        self.run.progress(0, 0, "choosing images for other tests")
        count = most_images(plan.version, plan.probes)
        for release in self.releases:
            with Manifest(release.folder / "manifest") as manifest:
                self.released[str(release.pk)] = self._first(manifest, release.root, release.folder / "files", count)
        count = most_images(held_out, plan.probes)
        with Manifest(held_out.manifest_folder) as manifest:
            found = self._first(manifest, held_out.root, held_out.files_folder, 2 * count)
        with Manifest(plan.version.manifest_folder) as manifest:
            drawn = {sha256 for _, sha256 in found}
            went_out = {entry.sha256 for entry in self._watched(manifest) if entry.sha256 in drawn}
        self.held_out = [file for file in found if file[1] not in went_out][:count]
        if len(self.held_out) < 4:
            raise ProbeImageError("Hardly any image of the held-out version is not in the released one as well.")
        self.viewed = min(VIEWED_IMAGES, len(self.held_out), *(len(files) for files in self.released.values()))

    def _first(self, manifest: Manifest, root: str, folder: Path, count: int) -> Files:
        if manifest.root != root:
            raise PlanError("A manifest on disk is not the one that was registered, so its images are not asked about.")

        def rank(sha256: str) -> bytes:
            return hashlib.sha256(f"touchmark/other verifiers/{self.audit.plan.digest}/{sha256}".encode()).digest()

        chosen = heapq.nsmallest(count, self._watched(manifest), key=lambda entry: (rank(entry.sha256), entry.path))
        return [(folder / entry.path, entry.sha256) for entry in chosen]

    def _watched(self, manifest: Manifest) -> Iterator[Entry]:
        for number, entry in enumerate(manifest):
            if number % 1000 == 0:
                self.run.checkpoint()
            yield entry

    def of_model(
        self, model: RegisteredModel, *, images: bool, views: bool
    ) -> tuple[dict[str, Features], dict[str, Features]]:
        """Features of images (N, d), and of views (M, V, d), by release and for HELD_OUT."""
        sets = {**self.released, HELD_OUT: self.held_out}
        total = sum(len(files) for files in sets.values()) * images + len(sets) * self.viewed * VIEWS * views
        progress = _Progress(self.run, total, f"asking {model.name} for other tests")
        begun = monotonic()
        of_images, of_views = {}, {}
        with sandboxed(model) as session:
            size = session.info.input_shape[1]
            for name, files in sets.items():
                loaded = self._load(name, files, size)
                if images:
                    of_images[name] = self._ask(model, session, f"{name}-images", loaded, progress)
                if views:
                    made = self._views(name, loaded)
                    flat = self._ask(model, session, f"{name}-views", made, progress)
                    of_views[name] = flat.reshape(self.viewed, VIEWS, -1)
        self.spent.append(
            {"name": model.name, "forward_passes": progress.done, "seconds": round(monotonic() - begun, 2)}
        )
        return of_images, of_views

    def _load(self, name: str, files: Files, size: int) -> NDArray[np.uint8]:
        # Among the audit's other decoded images, which go when it ends.
        kept = self.audit.folder / "images" / "other-verifiers" / f"{name}-{size}.npy"
        return load_images_once(kept, files, size, lambda done: self.run.checkpoint())

    def _views(self, name: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same crops for every model, at its own size: (M V, H, W, 3)."""
        rng = philox_from(self.audit.plan.digest, f"views/{name}")
        views = random_views(np.asarray(images[: self.viewed]), VIEWS, rng)
        self.run.checkpoint()
        return views.reshape(-1, *views.shape[2:])

    def _ask(
        self,
        model: RegisteredModel,
        session: SandboxedModel,
        name: str,
        images: NDArray[np.uint8],
        progress: _Progress,
    ) -> Features:
        """A measurement without any mark: clean images only."""
        question = Question(
            subject=f"{model.asked_as} {name}",
            probes=images,
            group_images=images[:0],
            group_of=np.zeros(0, dtype=np.int64),
            marks=Marks("", np.zeros((0,), dtype=np.uint8), np.zeros((len(images), 2))),
        )
        folder = own_folder(self.audit, session.info, "other-verifiers", str(model.pk))
        return measure(question, folder / name, session, progress.asked).read(CLEAN, "features")


class _Progress:
    def __init__(self, run: JobRun, total: int, phase: str) -> None:
        self.run, self.total, self.phase, self.done = run, total, phase, 0

    def asked(self, images: int) -> None:
        self.done += images
        self.run.progress(self.done, self.total, self.phase)
