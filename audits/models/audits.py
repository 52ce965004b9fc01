import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models

from audits.judging import codec
from audits.judging.disclosure import View
from audits.judging.result import Result
from audits.models.plans import Level, Plan
from provenance.models import Job, Organisation, Release, User


class Conclusion(models.TextChoices):
    EVIDENCE = "evidence", "evidence"
    INCONCLUSIVE = "inconclusive", "inconclusive"
    NO_EVIDENCE = "no_evidence", "no evidence"
    EXPLORATORY_SMALL_P = "exploratory_small_p", "exploratory: small p"
    EXPLORATORY_NO_SMALL_P = "exploratory_no_small_p", "exploratory: no small p"


class AuditState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class AuditQuerySet(models.QuerySet["Audit"]):
    def for_user(self, user: User) -> "AuditQuerySet":
        return self.filter(plan__in=Plan.objects.for_user(user))


class Audit(models.Model):
    """One run of a locked plan. Every run stays, failed and negative ones too."""

    Conclusion = Conclusion
    State = AuditState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="audits")
    # Mirrors the job's state, so that lists need no join and a run outlives its job row.
    state = models.CharField(max_length=10, choices=AuditState.choices, default=AuditState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    conclusion = models.CharField(max_length=30, choices=Conclusion.choices, blank=True)
    sentence = models.TextField(blank=True)
    # 32 random bytes in hex, drawn once when a locked plan is queued; they seed decoy keys and random permutations.
    nonce = models.CharField(max_length=64, blank=True)
    # What holds for all releases: forward passes, seconds, device, code version …
    facts = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # Before its first question to the suspect, and never again: from then on the run counts, whatever its end.
    asked_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "audit"

    def __str__(self) -> str:
        return f"audit of {self.plan.suspect.name}"

    @property
    def organisations(self) -> list[Organisation]:
        """The auditor's organisation, and the data's owner where that is another one."""
        owner, mine = self.plan.version.dataset.organisation, self.plan.organisation
        return [mine] if mine == owner else [mine, owner]

    @property
    def folder(self) -> Path:
        """Answers per block, so that a killed job resumes where it was."""
        return settings.FILES_DIR / "audits" / str(self.id)

    @property
    def made_folder(self) -> Path:
        """What its run makes to ask about, versions at home among it; gone once the job has ended, however it did."""
        return self.folder / "images"


class AuditRowQuerySet(models.QuerySet["AuditRow"]):
    """Reads single values inside results, by their keys in JSON: a whole one holds every histogram and matrix."""

    def p_values(self) -> Iterator[tuple[uuid.UUID, uuid.UUID, str, float, bool]]:
        """(release, audit, level, p, whether the level may decide) of every level that was tested."""
        for release, audit, one, declared, *found in self.values_list(
            "release_id", "audit_id", "result__level", "result__primary_levels", *_at_levels("p")
        ):
            # Results of versions before levels could be declared had one that decided.
            primary = declared or [one]
            for level, p in zip(Level.values, found, strict=True):
                if p is not None:
                    yield release, audit, level, float(p), level in primary

    def tainted(self) -> Iterator[tuple[uuid.UUID, str, set[str]]]:
        """(plan, recipient, names of references that react to the key) of every row where any does, at any level."""
        rows = self.values_list("pk", "audit__plan", "release__recipient", *_at_levels("tainted"))
        for _, plan, recipient, *found in rows:
            if names := {name for names in found if names for name in names}:
                yield plan, recipient, names


def _at_levels(key: str) -> list[str]:
    """The paths of one value of every level, in the order of `Level`."""
    return [f"result__levels__{level}__{key}" for level in Level.values]


class AuditRow(models.Model):
    """What one audit found for one release."""

    audit = models.ForeignKey(Audit, on_delete=models.CASCADE, related_name="rows")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="audit_rows")
    conclusion = models.CharField(max_length=30, choices=Conclusion.choices)
    # The primary level whose corrected p is smallest: its p (with or without references, as the plan says), and that
    # p after the correction over all primary tests of this suspect (audits.statistics.corrections).
    level = models.CharField(max_length=10, blank=True)
    p = models.FloatField()
    p_corrected = models.FloatField()
    smallest_p = models.FloatField()
    # What `found` reads. Holds the true assignment: never hand it out but through audits.services.results.visible.
    result = models.JSONField()

    objects = AuditRowQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["audit", "release"], name="one_row_per_release")]

    def __str__(self) -> str:
        return f"{self.audit}: {self.release.recipient}"

    @cached_property
    def found(self) -> Result:
        """The result as it is, read once."""
        return codec.read(self.result)

    def as_stored(self, view: View) -> dict[str, Any]:
        """A view of the result as JSON, its keys in the order in which the row holds them."""
        return codec.write(view, like=self.result)

    @property
    def level_label(self) -> str:
        """The level that decided, in words."""
        return str(Level(self.found.deciding).label)
