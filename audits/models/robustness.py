import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from provenance.models import Job, Membership, Organisation, Role, User, Version


class RobustnessState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class RobustnessQuerySet(models.QuerySet["Robustness"]):
    def for_user(self, user: User) -> "RobustnessQuerySet":
        """Of the organisations whose data the person may see; administrators see people, not data."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(organisation__in=own)


class Robustness(models.Model):
    """How often small models are found before and after each attack, with keys drawn for the purpose."""

    State = RobustnessState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="robustness")
    # A RobustnessSettings as JSON.
    settings = models.JSONField(default=dict)
    # Whose images are trained on: a version, or the procedural scenes where there is none.
    version = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, related_name="+")
    code_version = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=RobustnessState.choices, default=RobustnessState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    # RobustnessTable.to_json(); {} until it is done.
    table = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = RobustnessQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "robustness table"

    def __str__(self) -> str:
        return f"robustness on {self.images}"

    @property
    def images(self) -> str:
        """Whose images, in words."""
        return str(self.version) if self.version else "procedural scenes"

    @property
    def folder(self) -> Path:
        """Rows and trained models, so that a killed job goes on with the next row."""
        return settings.FILES_DIR / "robustness" / str(self.id)
