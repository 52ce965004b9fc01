import uuid

from django.db import models

from provenance.marks import MarkSets
from provenance.models.datasets import Dataset, Version
from provenance.models.people import Membership, Role, User


class KeyState(models.TextChoices):
    DRAWN = "drawn", "drawn"
    COMMITTED = "committed", "committed"
    EMBEDDED = "embedded", "embedded"
    DISCLOSED = "disclosed", "disclosed"
    DROPPED = "dropped", "dropped"


class KeyQuerySet(models.QuerySet["WatermarkKey"]):
    def for_user(self, user: User) -> "KeyQuerySet":
        """Rights-holders and legal staff of the owner see keys (as commitments); auditors never do."""
        own = Membership.objects.filter(user=user, role__in=[Role.RIGHTS_HOLDER, Role.LEGAL]).values("organisation")
        return self.filter(version__dataset__organisation__in=own)


class WatermarkKey(models.Model):
    """The secret of one release. Its bytes and salt exist only inside `sealed`; people see the commitment.

    drawn -> committed -> embedded -> (disclosed), or -> dropped at any time before it is embedded.
    """

    State = KeyState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="keys")
    state = models.CharField(max_length=10, choices=KeyState.choices, default=KeyState.DRAWN)
    sealed = models.BinaryField()
    # Public mark settings, frozen by the commitment.
    settings = models.JSONField(default=dict)
    commitment = models.CharField(max_length=64, blank=True)
    committed_at = models.DateTimeField(null=True)
    beacon = models.CharField(max_length=64, blank=True)
    beacon_at = models.DateTimeField(null=True)
    drawn_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    drawn_at = models.DateTimeField(auto_now_add=True)
    dropped_at = models.DateTimeField(null=True)
    dropped_because = models.CharField(max_length=300, blank=True)

    objects = KeyQuerySet.as_manager()

    class Meta:
        ordering = ["-drawn_at"]
        verbose_name = "key"
        constraints = [
            # The database itself refuses a beacon that is there before the commitment.
            models.CheckConstraint(
                condition=models.Q(beacon="")
                | (~models.Q(commitment="") & models.Q(beacon_at__gte=models.F("committed_at"))),
                name="beacon_after_commitment",
            )
        ]

    def __str__(self) -> str:
        return f"key {str(self.id)[:8]}"

    @property
    def mark_sets(self) -> MarkSets:
        """The public mark settings that it was committed with, one object per mark set."""
        return MarkSets.from_json(self.settings)

    @property
    def dataset(self) -> Dataset:
        return self.version.dataset
