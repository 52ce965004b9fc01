import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from provenance.models.people import Organisation, User


class UploadQuerySet(models.QuerySet["Upload"]):
    def for_user(self, user: User) -> "UploadQuerySet":
        return self.filter(created_by=user)


class Upload(models.Model):
    """A file on its way in from a browser, chunk by chunk; it resumes at `received` after a reload."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="uploads")
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=300)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    # What the browser can tell about the file, so that a reload finds the unfinished upload again.
    fingerprint = models.CharField(max_length=200, blank=True)
    consumed = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return settings.FILES_DIR / "uploads" / str(self.id)

    @property
    def is_complete(self) -> bool:
        return self.received == self.size
