"""Runs the main job end to end on images made for it, and says where to look."""

import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.urls import reverse

from audits.judging.result import CombinedResult
from audits.models import Audit, AuditRow
from audits.services.demo.main_job import Demo, DemoResult, DemoSize
from audits.services.demo.people import DemoPerson, ensure_people
from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.marks.withheld import WITHHELD
from provenance.models import Job, Role, User, WorkerSeen
from provenance.services.jobs import worker
from provenance.wording import duration, p_value

POLL_SECONDS = 0.5
SILENT_SECONDS = 45  # queued for so long without a worker: say that one is missing


class Command(TouchmarkCommand):
    help = (
        "Set up a demo: invented people and images, two copies that bear marks and lack images, four small models, two "
        "audits, two reports. "
        "Start it by “make demo”, or while the instance runs; a second start reuses what the first one made."
    )
    acts_for_a_person = False

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--here", action="store_true", help="work all jobs off in this process, without a worker")
        whole = DemoSize()
        parser.add_argument("--images", type=int, default=whole.images, help="how many images to draw")
        parser.add_argument("--epochs", type=int, default=whole.epochs, help="fewer train faster and show less")
        parser.add_argument("--home", type=float, default=whole.home, help="share of them that stay home")
        parser.add_argument("--probes", type=int, default=whole.probes)
        parser.add_argument("--group-images", type=int, default=whole.group_images)
        parser.add_argument("--permutations", type=int, default=whole.permutations)
        parser.add_argument("--references", type=int, default=len(whole.references), choices=(0, 1, 2))

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        started = time.monotonic()
        self.quiet = options["json"]
        people = ensure_people()
        self._introduce(people)
        size = DemoSize(
            images=options["images"],
            epochs=options["epochs"],
            home=options["home"],
            probes=options["probes"],
            group_images=options["group_images"],
            permutations=options["permutations"],
            references=DemoSize().references[: options["references"]],
        )
        finish = self._work_off if options["here"] else self._wait
        result = Demo(people, finish, self._say, size).run()
        seconds = time.monotonic() - started
        if not self.quiet:
            self._conclude(result, seconds)
            return {}
        return _as_json(people, result, seconds)

    def _say(self, line: str) -> None:
        if not self.quiet:
            self.stdout.write(line)
            self.stdout.flush()

    def _introduce(self, people: dict[str, DemoPerson]) -> None:
        self._say(f"\nTouchmark demo on {settings.SITE_URL}\n")
        self._say(f"  {'role':<15} {'name':<16} {'user name':<12} password")
        for person in people.values():
            role = Role(person.role).label
            self._say(f"  {role:<15} {person.name:<16} {person.username:<12} {person.password}")
        self._say(f"\nOnly you can read the file they are kept in: {settings.DEMO_FILE}\n")

    def _conclude(self, result: DemoResult, seconds: float) -> None:
        self._say(f"\nDone in {duration(seconds)}.\n")
        self._say(f"  Dataset   {_link('dataset_detail', result.version.dataset)}")
        for release in result.releases:
            self._say(f"  Release   {_link('release_detail', release)}  for {release.recipient}")
        for training in result.trainings:
            self._say(f"  Training  {_link('training_detail', training)}  {training.name}")
        for audit, report in zip(result.audits, result.reports, strict=True):
            self._say(f"\n  {audit.sentence}")
            for row in audit.rows.select_related("release"):
                self._say(
                    f"    copy for {row.release.recipient}: p {p_value(row.p)}, "
                    f"corrected {p_value(row.p_corrected)}, smallest reachable {p_value(row.smallest_p)}"
                )
                for name, p in _sets(row).items():
                    self._say(f"      {name}: p {p_value(p)}")
            self._say(f"    Audit   {_link('audit_detail', audit)}")
            self._say(f"    Report  {_link('report_detail', report)}")

    def _work_off(self, waiting: list[Job]) -> None:
        for job in waiting:
            worker.run(str(job.pk))
            _check(job)

    def _wait(self, waiting: list[Job]) -> None:
        """Until every job has ended; raises with the reason of the first that ended badly."""
        told: dict[Any, str] = {}
        since = time.monotonic()
        while unfinished := [job for job in waiting if not _ended(job)]:
            for job in unfinished:
                line = f"  {job.subject_label}: {job.phase}" if job.phase else ""
                if line and told.get(job.pk) != line:
                    told[job.pk] = line
                    self._say(line)
            if time.monotonic() - since > SILENT_SECONDS and not _workers():
                self.stderr.write("No worker is running, so nothing happens. Start everything by “make demo”.")
                since = time.monotonic()
            time.sleep(POLL_SECONDS)
        for job in waiting:
            _check(job)


def _ended(job: Job) -> bool:
    job.refresh_from_db()
    return job.is_finished


def _check(job: Job) -> None:
    job.refresh_from_db()
    if job.state != Job.State.DONE:
        raise TouchmarkError(f"{job.subject_label}: {job.reason or job.get_state_display()}", job.detail)


def _workers() -> bool:
    return any(worker.is_alive for worker in WorkerSeen.objects.all())


def _link(name: str, row: Any) -> str:
    return settings.SITE_URL + reverse(name, args=[row.pk])


def _as_json(people: dict[str, DemoPerson], result: DemoResult, seconds: float) -> dict[str, Any]:
    return {
        "address": settings.SITE_URL,
        "people": {role: person.username for role, person in people.items()},
        "passwords": str(settings.DEMO_FILE),
        "version": str(result.version.pk),
        "releases": {release.recipient: str(release.pk) for release in result.releases},
        "audits": [_audit_json(audit) for audit in result.audits],
        "reports": [{"id": str(report.pk), "number": report.number} for report in result.reports],
        "seconds": round(seconds, 1),
    }


def _sets(row: AuditRow) -> dict[str, float]:
    """What every mark set of a copy says by itself."""
    found, level = row.found, row.audit.plan.level
    sets = found.sets if isinstance(found, CombinedResult) else ()
    named = {"images at home" if one.family == WITHHELD else "marks": one for one in sets}
    return {name: one.scored[level].p for name, one in named.items() if level in one.scored}


def _audit_json(audit: Audit) -> dict[str, Any]:
    rows = audit.rows.select_related("release")
    return {
        "id": str(audit.pk),
        "suspect": audit.plan.suspect.name,
        "conclusion": audit.conclusion,
        "p": {row.release.recipient: row.p for row in rows},
        "p_of_sets": {row.release.recipient: _sets(row) for row in rows},
    }
