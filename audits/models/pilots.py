import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from provenance.models import Job, Membership, Organisation, Role, User, Version


class PilotState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class PilotQuerySet(models.QuerySet["Pilot"]):
    def for_user(self, user: User) -> "PilotQuerySet":
        """Pilots on the data of the person's organisations; administrators see people, not data."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(organisation__in=own)

    def finished(self) -> "PilotQuerySet":
        """Those with numbers, newest first."""
        return self.filter(state=PilotState.DONE).order_by("-finished_at")


class Pilot(models.Model):
    """Small trainings on a version, marked and unmarked, that say before a release what an audit of it would find."""

    State = PilotState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="pilots")
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="pilots")
    settings = models.JSONField(default=dict)  # PilotSettings.to_json()
    code_version = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=PilotState.choices, default=PilotState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    # By name of a training, in their order: points of its curve so far.
    curves = models.JSONField(default=dict)
    found = models.JSONField(default=dict)  # PilotFound.to_json(); {} until it is done
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = PilotQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "pilot"

    def __str__(self) -> str:
        return f"pilot on {self.version}"

    @property
    def folder(self) -> Path:
        """Trainings that are done, and the checkpoint of the one that runs, so that a killed job goes on."""
        return settings.FILES_DIR / "pilots" / str(self.id)

    @property
    def twins(self) -> Path:
        """Weights of the unmarked twins, one file each by the name of its training, once it is done."""
        return self.folder.with_name(f"{self.id}-twins")
