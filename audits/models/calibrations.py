import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from audits.models.registered import RegisteredModel
from provenance.models import Job, Organisation, User, Version


class CalibrationState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class CalibrationQuerySet(models.QuerySet["Calibration"]):
    def for_user(self, user: User) -> "CalibrationQuerySet":
        """Calibrations of the person's own organisations, whatever their role: a table of error rates is no secret."""
        return self.filter(organisation__in=Organisation.objects.for_user(user))

    def finished(self) -> "CalibrationQuerySet":
        """Those with a table, newest first."""
        return self.filter(state=CalibrationState.DONE).order_by("-finished_at")


class Calibration(models.Model):
    """How often every test rejects models that never saw a release, with keys drawn for the purpose, by this code."""

    State = CalibrationState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="calibrations")
    # families; stock, the number of images; core, a CalibrationSettings as JSON whose rounds count for every family.
    settings = models.JSONField(default=dict)
    # Where probes and group images come from: a version, or the procedural scenes where there is none.
    version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, related_name="+")
    # Registered models that join the null models of every round.
    references = models.ManyToManyField(RegisteredModel, related_name="+", blank=True)
    code_version = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=CalibrationState.choices, default=CalibrationState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    # CalibrationTable.to_dict() and its `holds`, which is None where there are too few pairs to tell; {} and None until
    # it is done.
    table = models.JSONField(default=dict)
    holds = models.BooleanField(null=True)
    seconds = models.FloatField(null=True)  # that its rounds took, whichever attempts worked them off
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = CalibrationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "calibration"

    def __str__(self) -> str:
        return f"calibration of {', '.join(self.settings.get('families', []))}"

    @property
    def pairs_per_line(self) -> int:
        """Pairs of a model and a key behind every line of its table."""
        core = self.settings["core"]
        return int(core["rounds"] * core["pairs"])

    @property
    def folder(self) -> Path:
        """The p-values of every round, so that a killed job goes on with the next one."""
        return settings.FILES_DIR / "calibrations" / str(self.id)
