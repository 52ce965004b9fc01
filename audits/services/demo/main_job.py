"""The demo: the whole main job on images made for it, through the same services as pages and commands.

Every step first looks for what an earlier start left, so the demo goes on where it was stopped.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from django.conf import settings

from audits.models import Audit, Plan, RegisteredModel, Report, Training
from audits.scenes import demonstration, procedural
from audits.services.demo.people import DemoError, DemoPerson, demo_organisation
from audits.services.plans import drafting, locking
from audits.services.plans.values import PlanValues
from audits.services.reports import issuing
from audits.services.runs import queueing
from audits.services.trainings import starting
from provenance import wording
from provenance.blocking.rule import BlockRule
from provenance.marks import MarkSets, WithheldSettings
from provenance.models import Dataset, Job, Release, Role, User, Version
from provenance.services import blockings, datasets, near_duplicates, releases, uploads
from provenance.services.jobs import queue

DATASET = "Picture-book scenes"
LABELS_FILE = "captions.csv"
RECIPIENTS = ("Northgate Vision", "Lumen Robotics")
MARKED, CLEAN = "Northgate encoder", "Bystander encoder"
REFERENCES = ("Reference encoder A", "Reference encoder B")
EPOCH = (1980, 1, 1, 0, 0, 0)  # one date for all files of the archive, so that it is the same archive every time


@dataclass(frozen=True)
class DemoSize:
    """How large the demo is; the defaults are those that the power benchmark shows to work."""

    images: int = demonstration.IMAGES
    epochs: int = 0  # 0: the recipe's own
    home: float = demonstration.HOME  # share of them that stay home
    probes: int = demonstration.PROBES
    group_images: int = demonstration.GROUP_IMAGES
    permutations: int = demonstration.PERMUTATIONS
    references: tuple[str, ...] = REFERENCES


@dataclass(frozen=True)
class DemoResult:
    """The rows that the demo made, for whoever shows where to look."""

    version: Version
    releases: list[Release]
    trainings: list[Training]
    audits: list[Audit]
    reports: list[Report]


@dataclass
class Demo:
    """One start of the demo.

    people: by role. finish: waits until a job has ended well, or works it off. say: tells people what happens.
    """

    people: dict[str, DemoPerson]
    finish: Callable[[list[Job]], None]
    say: Callable[[str], None]
    size: DemoSize = field(default_factory=DemoSize)

    def run(self) -> DemoResult:
        version = self.dataset()
        made = self.releases(version)
        trained = self.trainings(version, made[0])
        audited = [self.audit(version, made, name) for name in (MARKED, CLEAN)]
        self._end([audit.job for audit in audited])
        audited = [Audit.objects.get(pk=audit.pk) for audit in audited]
        issued = [self.report(audit) for audit in audited]
        self._end([report.job for report in issued])
        issued = [Report.objects.get(pk=report.pk) for report in issued]
        return DemoResult(version, made, trained, audited, issued)

    def dataset(self) -> Version:
        """Draw the scenes, upload them as one archive, register them with their captions."""
        owner = self._person(Role.RIGHTS_HOLDER)
        version = Version.objects.filter(dataset__organisation=demo_organisation(), dataset__name=DATASET).first()
        if version is None:
            self.say(f"Drawing {wording.count(self.size.images)} scenes with captions …")
            archive = settings.FILES_DIR / "demo" / "picture-book-scenes.zip"
            write_archive(archive, self.size.images)
            upload = _upload(archive, owner)
            source = datasets.VersionSource(upload=upload, labels=Version.Labels.CSV, labels_file=LABELS_FILE)
            version = datasets.register(
                demo_organisation(),
                name=DATASET,
                source=source,
                by=owner,
                licence="CC0: drawn by a program",
                contact=demo_organisation().contact,
                modality=Dataset.Modality.PAIRS,
                description="Kites, cottages, sailboats and seven other things in small landscapes, with captions.",
            )
            archive.unlink()
            self.say("Registering them: digests, manifest, Merkle root …")
        self._end([version.job])
        version.refresh_from_db()
        return version

    def releases(self, version: Version) -> list[Release]:
        """One copy for each recipient, with a key of its own: marks are struck into some images, and some stay home."""
        owner = self._person(Role.RIGHTS_HOLDER)
        made = list(version.releases.filter(recipient__in=RECIPIENTS))
        missing = [name for name in RECIPIENTS if name not in {release.recipient for release in made}]
        if missing:
            self._count_near_duplicates(version)
            home = self._blocks(version)
            self.say(f"Striking marks into copies for {' and '.join(missing)}, and leaving images of each home …")
            marks = near_duplicates.leaving_out(version, MarkSets((demonstration.mark_settings(), home)))
            made += releases.make_releases(version, missing, marks, by=owner, outlets=Release.Outlets.KEPT)
        self._end([release.job for release in made])
        found = {release.recipient: release for release in version.releases.filter(recipient__in=RECIPIENTS)}
        return [found[name] for name in RECIPIENTS]

    def _count_near_duplicates(self, version: Version) -> None:
        if version.near_duplicates is None:
            self.say("Looking for near-duplicates, which stay unmarked …")
            self._end([near_duplicates.order_count(version, by=self._person(Role.RIGHTS_HOLDER))])
            version.refresh_from_db()

    def _blocks(self, version: Version) -> WithheldSettings:
        """Of each block of alike images the keys pick one that stays home."""
        if not version.blockings.exists():
            self.say("Making blocks of images that are alike …")
            self._end([blockings.order_blocks(version, BlockRule(), by=self._person(Role.RIGHTS_HOLDER))])
        made = version.blockings.earliest("created_at")
        return WithheldSettings(made.digest, made.block_size, self.size.home)

    def trainings(self, version: Version, leaked: Release) -> list[Training]:
        """One model on the leaked copy, the others on the unmarked original; every seed is drawn anew.

        They take turns on the two queues, so that both workers of the embedded instance train.
        """
        auditor = self._person(Role.AUDITOR)
        role = RegisteredModel.ModelRole
        wanted = [(MARKED, leaked, role.SUSPECT), (CLEAN, None, role.SUSPECT)]
        wanted += [(name, None, role.REFERENCE) for name in self.size.references]
        recipe = demonstration.training_settings(0)
        if self.size.epochs:
            recipe = replace(recipe, epochs=self.size.epochs, batch_size=16)
        rows = []
        for number, (name, release, becomes) in enumerate(wanted):
            row = Training.objects.filter(version=version, name=name).first()
            if row is None:
                row = starting.start(
                    name,
                    version,
                    by=auditor,
                    release=release,
                    settings=recipe,
                    becomes=becomes,
                    class_names=procedural.CLASSES,
                    queue=("gpu", "cpu")[number % 2],
                )
            rows.append(row)
        if any(row.state != Training.State.DONE for row in rows):
            self.say(f"Training {len(rows)} tiny CLIP models, one of them on the copy for {leaked.recipient} …")
        self._end([row.job for row in rows])
        rows = list(Training.objects.filter(pk__in=[row.pk for row in rows]).select_related("model").order_by("pk"))
        self._end([row.model.connection_job for row in rows if row.model])
        by_name = {row.name: row for row in rows}
        return [by_name[name] for name, _, _ in wanted]

    def audit(self, version: Version, made: list[Release], suspect: str) -> Audit:
        """Plan, lock and queue the audit of one suspect against every copy."""
        auditor = self._person(Role.AUDITOR)
        name = f"Was {suspect} trained on one of our copies?"
        plan = Plan.objects.filter(organisation=demo_organisation(), name=name).first()
        if plan is None:
            mine = RegisteredModel.objects.filter(organisation=demo_organisation())
            values = PlanValues(
                name=name,
                version=version,
                releases=made,
                suspect=mine.get(name=suspect),
                references=list(mine.filter(name__in=self.size.references)),
                probes=self.size.probes,
                group_images=self.size.group_images,
                permutations=self.size.permutations,
                views=demonstration.VIEWS,
                membership_score=demonstration.MEMBERSHIP_SCORE,
                alpha=demonstration.ALPHA,
            )
            plan = drafting.save_draft(values, by=auditor)
        if not plan.is_locked:
            plan = locking.lock(plan, by=auditor)
        audit = plan.audits.first()
        if audit is None:
            self.say(f"Auditing {suspect} against {len(made)} copies …")
            audit = queueing.queue(plan, by=auditor)
        return audit

    def report(self, audit: Audit) -> Report:
        """Issue the evidence report of a finished audit."""
        report = audit.reports.first()
        if report is None:
            self.say(f"Writing the report about {audit.plan.suspect.name} …")
            report = issuing.issue(audit, by=self._person(Role.LEGAL))
        return report

    def _person(self, role: Role) -> User:
        return self.people[role.value].user

    def _end(self, waiting: list[Job | None]) -> None:
        """See jobs to their end; one that failed or was cancelled in an earlier start is tried once more."""
        current = [Job.objects.get(pk=job.pk) for job in waiting if job is not None]
        for job in current:
            if job.state in (Job.State.FAILED, Job.State.CANCELLED):
                queue.retry(job, by=_starter(job))
        self.finish(current)


def _starter(job: Job) -> User:
    if job.created_by is None:
        raise DemoError(f"The job “{job}” of an earlier start failed and belongs to nobody. Remove the demo's data.")
    return job.created_by


def write_archive(path: Path, count: int) -> None:
    """The demo's images and their captions as a zip archive, the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_suffix("")
    procedural.write_scenes(folder, folder / LABELS_FILE, demonstration.IMAGE_SEED, count, demonstration.IMAGE_SIDE)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, file.read_bytes())
            file.unlink()
    for label in procedural.CLASSES:
        (folder / label).rmdir()
    folder.rmdir()


def _upload(archive: Path, by: User) -> "uploads.Upload":
    """The archive by the way that a browser takes: begun, appended chunk by chunk."""
    size = archive.stat().st_size
    upload = uploads.begin(demo_organisation(), name=archive.name, size=size, fingerprint="demo", by=by)
    with archive.open("rb") as file:
        file.seek(upload.received)
        while chunk := file.read(settings.UPLOAD_CHUNK_BYTES):
            upload = uploads.append(upload, upload.received, chunk, by=by)
    return upload
