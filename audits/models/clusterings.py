import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from audits.models.registered import RegisteredModel
from provenance.models import Clusters, Job, Membership, Role, User, Version


class ClusteringState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class ClusteringQuerySet(models.QuerySet["Clustering"]):
    def for_user(self, user: User) -> "ClusteringQuerySet":
        """Clusterings of the organisations whose data the person may see; administrators see people, not data."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(version__dataset__organisation__in=own)


class Clustering(models.Model):
    """One run that groups a version's images by an encoder; it ends as clusters that a release can be marked by."""

    State = ClusteringState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="clusterings")
    encoder = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="clusterings")
    groups = models.PositiveSmallIntegerField()
    seed = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=ClusteringState.choices, default=ClusteringState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    clusters = models.ForeignKey(Clusters, on_delete=models.PROTECT, null=True, related_name="clusterings")
    # Seconds of every phase, device, images per second: what this run took.
    facts = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ClusteringQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "clustering"

    def __str__(self) -> str:
        return f"{self.version} by {self.encoder}"

    @property
    def folder(self) -> Path:
        """Features of the images, while the run needs them."""
        return settings.FILES_DIR / "clusterings" / str(self.id)
