"""Tests models that were registered by an earlier version, so that each is known again under other names."""

from contextlib import suppress
from typing import Any

from django.core.management.base import CommandParser

from audits.models import RegisteredModel
from audits.services.models.connection import queue_unidentified
from audits.services.plans.series import JOB_IN_PROGRESS
from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.models import Job, User


class Command(TouchmarkCommand):
    help = "Test the connection of every model that is not known by its answers yet. Run it once after an upgrade."
    acts_for_a_person = False

    def add_options(self, parser: CommandParser) -> None:
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        tests = Job.objects.filter(kind="model.connection_test")
        before = set(tests.filter(state__in=JOB_IN_PROGRESS).values_list("pk", flat=True))
        jobs = queue_unidentified()
        for number, job in enumerate(jobs, 1):
            if options["wait"] or options["here"]:
                self.stderr.write(f"model {number} of {len(jobs)}: {job.subject_label}")
            with suppress(TouchmarkError):  # one that cannot be opened any more is counted below; the others go on
                self.finish(job, options)
        ended = tests.filter(pk__in=[job.pk for job in jobs])
        return {
            "queued": sum(1 for job in jobs if job.pk not in before),
            "queued_before": sum(1 for job in jobs if job.pk in before),
            "failed": ended.filter(state=Job.State.FAILED).count(),
            "known": RegisteredModel.objects.exclude(sha256="").identified().count(),
            "not_known": RegisteredModel.objects.unidentified().count(),
        }
