"""What each preset costs and brings in a version: images, bytes, and how visible it is, measured on a few images."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from provenance.canonical import canonical_json
from provenance.embedding.trial import Trial, strength_of, try_strength
from provenance.errors import TouchmarkError
from provenance.marks import GroupPlan, MarkSettings
from provenance.marks.settings import MIN_FINEST
from provenance.models import Job, Role, User, Version
from provenance.services.access import require
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.manifests import open_manifest, sample_indices
from provenance.services.release_plans import plan_of
from provenance.whole_files import write_whole

KIND = "version.measure_presets"
TRIAL_IMAGES = 24
MOST_STRENGTHS = 6  # of one job
TRIALS = "trials-of-patterns"  # older trials did not say which patterns find an image; "trials…" of other names


@dataclass(frozen=True)
class Cost:
    """What some settings cost and bring. `plan` is None where they are refused, for the reason in `refusal`."""

    mark: MarkSettings
    plan: GroupPlan | None
    refusal: str
    trial: Trial | None
    bytes_written: int | None

    @property
    def fewest(self) -> int:
        """Marked images of the smallest group."""
        return min(group.marked for group in self.plan.groups) if self.plan else 0

    @property
    def too_few(self) -> bool:
        """Whether fewer of the version's images than are wanted can carry the mark, as far as the trial tells."""
        return bool(self.trial and self.trial.tried and self.trial.share < self.mark.share)

    @property
    def could_be_coarser(self) -> bool:
        return "finest" in self.mark.options and self.mark.finest > MIN_FINEST

    @property
    def bare_group(self) -> float:
        """The chance that a key's release ends for want of an image that can carry its group's pattern."""
        return self.trial.chance_of_a_bare_group(len(self.mark.groups)) if self.trial else 0.0

    @property
    def most(self) -> int:
        return max(group.marked for group in self.plan.groups) if self.plan else 0


def cost_of(version: Version, mark: MarkSettings, refusal: str = "", *, wait: bool = False) -> Cost:
    """What these settings would mark, and what a trial measured of them, if there was one.

    `refusal`: why the settings cannot be used as they are; then only the trial is looked up. wait: see
    `release_plans.plan_sets`.
    """
    plan = None
    if not refusal:
        try:
            plan = plan_of(version, mark, wait=wait)
        except TouchmarkError as error:
            refusal = error.sentence
    trial = trial_of(version, mark)
    if plan is None:
        return Cost(mark, None, refusal, trial, None)
    mean = version.total_bytes / max(version.file_count, 1)
    return Cost(mark, plan, "", trial, round(plan.marked * mean * (trial.growth if trial and trial.marked else 1)))


def trial_of(version: Version, mark: MarkSettings) -> Trial | None:
    """The measures of a trial with this strength in this version; None where there was none yet."""
    try:
        return Trial(**json.loads(_path(version, mark).read_bytes()))
    except FileNotFoundError:
        return None


def trial_job(version: Version) -> Job | None:
    """The job that measures, or measured last."""
    return Job.objects.about(version).filter(kind=KIND).first()


@transaction.atomic
def order_trials(version: Version, marks: Sequence[MarkSettings], *, by: User) -> Job | None:
    """Queue the measuring of those strengths that were not measured yet; None where all were.

    Raises PermissionDenied unless the person is a rights-holder of the version's owner.
    """
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    if version.state != Version.State.READY:
        raise TouchmarkError("The files of this version have not been read yet.")
    wanted = {_path(version, mark): strength_of(mark).to_dict() for mark in marks if trial_of(version, mark) is None}
    missing = list(wanted.values())[:MOST_STRENGTHS]
    if not missing:
        return None
    Version.objects.select_for_update().get(pk=version.pk)  # two orders at once would make two jobs
    for job in Job.objects.about(version).filter(kind=KIND).unfinished():
        if all(strength in job.params["strengths"] for strength in missing):
            return job
    params = {"version": str(version.pk), "strengths": missing}
    return enqueue(KIND, version, organisation=version.dataset.organisation, by=by, params=params)


@job_kind(KIND, title="Measuring the strengths of a mark", queue="cpu")
def measure(run: JobRun) -> None:
    """Mark some images with each strength in memory; what an earlier attempt measured is kept."""
    version = Version.objects.get(pk=run.params["version"])
    strengths = [MarkSettings.from_json(strength) for strength in run.params["strengths"]]
    with open_manifest(version) as manifest:
        images = [manifest.entry(index).path for index in sample_indices(len(manifest), TRIAL_IMAGES)]
    done, total = 0, len(strengths) * len(images)

    def step() -> None:
        nonlocal done
        run.progress(done, total, "marking for trial")
        done += 1

    for number, strength in enumerate(strengths):
        done = number * len(images)
        if trial_of(version, strength) is None:
            files = ((version.files_folder / path).read_bytes() for path in images)
            trial = _tried(files, strength, version, step)
            write_whole(_path(version, strength), partial(Path.write_bytes, data=canonical_json(asdict(trial))))


def _tried(files: Any, strength: MarkSettings, version: Version, step: Any) -> Trial:
    try:
        return try_strength(files, strength, version.root.encode(), step)
    except OSError as error:
        raise TouchmarkError("An image of this version is gone or cannot be read.", str(error)) from error


def _path(version: Version, mark: MarkSettings) -> Path:
    digest = hashlib.sha256(canonical_json(strength_of(mark).to_dict())).hexdigest()
    return version.folder / TRIALS / f"{digest[:32]}.json"
