"""Words of captions that would make good groups: counted once for each version, in a job of their own."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from provenance.errors import TouchmarkError
from provenance.intake.manifest import Manifest
from provenance.marks.caption_file import write_captions
from provenance.marks.captions import FOLDING
from provenance.marks.words import DEFAULT_COUNT, LEAST_COUNT, MOST_COUNT, Suggestion, suggest_words, told
from provenance.models import Job, Role, User, Version
from provenance.services.access import require
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.queue import enqueue
from provenance.services.jobs.running import JobRun
from provenance.services.log import record

KIND = "version.suggest_words"


class WordsOrderError(TouchmarkError):
    """The words cannot be counted like this; the sentence says what to do."""


@dataclass(frozen=True)
class WordsState:
    """Where a version stands with its suggested words.

    `name`: "none" (no captions), "new" (never counted), "counting", "failed" (or cancelled), "ready". `found` is what
    was counted last, even while it is counted anew; `job` the last job, where there was one.
    """

    name: str
    found: dict[str, Any] | None = None
    job: Job | None = None


def words_of(version: Version) -> WordsState:
    """What pages and commands show of a version that is ready."""
    if not version.facts.get("captioned"):
        return WordsState("none")
    found: dict[str, Any] | None = version.suggested_words
    job = Job.objects.about(version).filter(kind=KIND).first()
    if job and not job.is_finished:
        return WordsState("counting", found, job)
    if found is not None:
        return WordsState("ready", found, job)
    return WordsState("failed" if job else "new", None, job)


@transaction.atomic
def order_words(version: Version, *, by: User, count: int = DEFAULT_COUNT) -> Job:
    """Queue the counting, for the rights-holder; returns the job that is at it already, where there is one."""
    require(by, version.dataset.organisation, Role.RIGHTS_HOLDER)
    if version.state != Version.State.READY:
        raise WordsOrderError("The files of this version have not been read yet.")
    if not version.facts.get("captioned"):
        raise WordsOrderError("This version has no captions. Add a version with a CSV that has a caption column.")
    if not LEAST_COUNT <= count <= MOST_COUNT:
        raise WordsOrderError(f"Ask for {LEAST_COUNT} to {MOST_COUNT} words.")
    return enqueue_words(version, by=by, count=count)


def enqueue_words(version: Version, *, by: User | None, count: int = DEFAULT_COUNT) -> Job:
    """The same without questions: for the job that has just read a version with captions."""
    Version.objects.select_for_update().get(pk=version.pk)  # two orders at once would make two jobs
    running = Job.objects.about(version).filter(kind=KIND).unfinished().first()
    return running or enqueue(
        KIND,
        version,
        organisation=version.dataset.organisation,
        by=by,
        params={"version": str(version.pk), "count": count},
    )


def captions_path(version: Version) -> Path:
    """The captions as live plans count words in them: see `provenance.marks.caption_file`."""
    return version.folder / f"captions-{FOLDING}.txt"


@job_kind(KIND, title="Counting the words of captions", queue="cpu")
def count_words(run: JobRun) -> None:
    """Prepares the captions for counting, then takes three passes over them. A second attempt begins anew: nothing of
    it is long.
    """
    version = Version.objects.select_related("dataset__organisation").get(pk=run.params["version"])
    with Manifest(version.manifest_folder) as manifest:

        def captions() -> Iterator[str | None]:
            return (entry.caption for entry in manifest)

        write_captions(captions_path(version), told(captions(), run.progress, 0, "preparing captions"))
        found = suggest_words(captions, run.params["count"], run.progress)
    run.checkpoint()
    _keep(version, found, run.params["count"])


@transaction.atomic
def _keep(version: Version, found: Suggestion, asked: int) -> None:
    Version.objects.filter(pk=version.pk).update(suggested_words={"asked": asked, **asdict(found)})
    record(
        "version.words_suggested",
        version,
        organisation=version.dataset.organisation,
        by=None,
        details={"asked": asked, "words": len(found.words)},
    )
