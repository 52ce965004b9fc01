import uuid

from django.db import models

from audits.models.registered import RegisteredModel
from provenance.models import Job, Membership, Organisation, Release, Role, User, Version


class TrainingState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class TrainingQuerySet(models.QuerySet["Training"]):
    def for_user(self, user: User) -> "TrainingQuerySet":
        """Trainings of the organisations whose data the person may see; administrators see people, not data."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(organisation__in=own)


class Training(models.Model):
    """A small training run of our own, on a version or on one of its releases; it ends as a registered model."""

    State = TrainingState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="trainings")
    name = models.CharField(max_length=200)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="trainings")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, null=True, related_name="trainings")
    # Recipe (seed, epochs …), what the model becomes, class names for prompts; no two trainings share a seed.
    settings = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=TrainingState.choices, default=TrainingState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    # Mean loss of every epoch.
    curve = models.JSONField(default=list)
    model = models.OneToOneField(RegisteredModel, on_delete=models.PROTECT, null=True, related_name="training")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TrainingQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "training"

    def __str__(self) -> str:
        return self.name
