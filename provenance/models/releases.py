import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from provenance.models.datasets import Dataset, Version
from provenance.models.jobs import Job
from provenance.models.keys import WatermarkKey
from provenance.models.people import User


class ReleaseState(models.TextChoices):
    EMBEDDING = "embedding", "being marked"
    READY = "ready", "ready"
    FAILED = "failed", "failed"


class Outlets(models.TextChoices):
    """Whether images that stay home are kept from every other outlet: published elsewhere, they prove nothing."""

    KEPT = "kept", "kept from every other outlet"
    ELSEWHERE = "elsewhere", "some are published elsewhere"
    UNKNOWN = "unknown", "not known"


class ReleaseQuerySet(models.QuerySet["Release"]):
    def for_user(self, user: User) -> "ReleaseQuerySet":
        """Whoever sees the dataset sees that a release exists; files, gallery and manifest are the owner's alone."""
        return self.filter(version__dataset__in=Dataset.objects.for_user(user))

    def ready(self) -> "ReleaseQuerySet":
        return self.filter(state=ReleaseState.READY)


class Release(models.Model):
    """One marked copy of a version for one recipient."""

    State = ReleaseState
    Outlets = Outlets

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="releases")
    key = models.OneToOneField(WatermarkKey, on_delete=models.PROTECT, related_name="release")
    recipient = models.CharField(max_length=200)
    note = models.TextField(blank=True)
    # Content credentials, gain maps, further pictures: dropped from all files of this copy, marked or not.
    drop_claims = models.BooleanField(default=False)
    # What its owner said about the images that stay home; empty where none do.
    outlets = models.CharField(max_length=10, choices=Outlets.choices, blank=True)
    state = models.CharField(max_length=10, choices=ReleaseState.choices, default=ReleaseState.EMBEDDING)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    root = models.CharField(max_length=64, blank=True)
    marked_count = models.PositiveIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    # PSNR distribution, survival, counts per group (public part) …
    facts = models.JSONField(default=dict)
    # Whether marked files can be told apart by structure, as the owner's inspection found.
    inspection = models.JSONField(null=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.version.dataset.name} for {self.recipient}"

    @property
    def folder(self) -> Path:
        """manifest/, files/, marked.jsonl (which images carry which mark: a secret of the owner), work/."""
        return settings.FILES_DIR / "releases" / str(self.id)

    @property
    def is_plain(self) -> bool:
        """Whether it bears plain marks alone: one pattern per mark set on images of any kind, without groups."""
        return all(mark.is_plain for mark in self.key.mark_sets.struck)
