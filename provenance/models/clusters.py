import uuid

from django.db import models

from provenance.marks.cluster_files import cluster_names
from provenance.models.datasets import Dataset, Version
from provenance.models.people import User


class ClustersQuerySet(models.QuerySet["Clusters"]):
    def for_user(self, user: User) -> "ClustersQuerySet":
        return self.filter(version__dataset__in=Dataset.objects.for_user(user))


class Clusters(models.Model):
    """Groups of a version's images that an encoder found: which image is in which lies in a file under its digest."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="clusters")
    digest = models.CharField(max_length=64)  # SHA-256 of the file; mark settings commit to it
    encoder = models.CharField(max_length=200)  # its name, as people know it
    encoder_digest = models.CharField(max_length=64)  # SHA-256 of its weights
    seed = models.PositiveBigIntegerField()
    sizes = models.JSONField()  # images of every cluster
    left_out = models.PositiveIntegerField(default=0)  # images that could not be read
    # Inertia, images moved to make sizes equal, numbers per image …: what the file beside it says too.
    facts = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ClustersQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "clusters"
        verbose_name_plural = "clusters"
        constraints = [models.UniqueConstraint(fields=["version", "digest"], name="clusters_once_per_version")]

    def __str__(self) -> str:
        return f"{len(self.sizes)} clusters by {self.encoder}, seed {self.seed}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups, as mark settings list them."""
        return cluster_names(len(self.sizes))
