import uuid

from django.db import models

from provenance.models.datasets import Version
from provenance.models.people import User


class Blocking(models.Model):
    """Units and blocks of a version's images by a public rule: which image is in which lies in a file under its digest.

    A row is made when its job is done; the job says how far it is.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="blockings")
    digest = models.CharField(max_length=64)  # SHA-256 of the file; withheld sets commit to it
    rule = models.JSONField()
    block_size = models.PositiveSmallIntegerField()
    units = models.PositiveIntegerField()
    blocks = models.PositiveIntegerField()
    images_in_blocks = models.PositiveIntegerField()
    # Images of the largest unit, flat and unread pictures …
    facts = models.JSONField(default=dict)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["version", "digest"], name="blocking_once_per_version")]

    def __str__(self) -> str:
        told = [f"{self.blocks:,} blocks of {self.block_size}"]
        told += [f"column “{column}”"] if (column := self.rule.get("unit_column")) else []
        told += [f"folder level {level}"] if (level := self.rule.get("folder_level")) else []
        told += ["within clusters"] if self.rule.get("clusters") else []
        told += ["nearest in features"] if self.rule.get("signs") else []
        return ", ".join([*told, self.digest[:8]])
