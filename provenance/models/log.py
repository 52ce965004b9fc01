from typing import Any, Never

from django.db import models

from provenance.models.people import Membership, Organisation, User


class LogQuerySet(models.QuerySet["LogEntry"]):
    def for_user(self, user: User) -> "LogQuerySet":
        return self.filter(organisation__in=Membership.objects.filter(user=user).values("organisation"))

    def about(self, *instances: models.Model) -> "LogQuerySet":
        """Entries whose subject is one of these rows, oldest first."""
        wanted = models.Q(pk__in=[])
        for instance in instances:
            wanted |= models.Q(subject_type=str(instance._meta.verbose_name), subject_id=str(instance.pk))
        return self.filter(wanted).order_by("seq")

    def update(self, **kwargs: Any) -> Never:
        raise TypeError("The evidence log is append-only.")

    def delete(self) -> Never:
        raise TypeError("The evidence log is append-only.")


class LogEntry(models.Model):
    """One act in the evidence log of one organisation: append-only, chained by hashes.

    Written by provenance.services.log.record alone; the form of the hash is provenance.evidence_log's.
    """

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="log")
    seq = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    actor = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=200)
    verb = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64)
    subject_label = models.CharField(max_length=200)
    digests = models.JSONField(default=dict)
    details = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = LogQuerySet.as_manager()

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["organisation", "seq"], name="one_entry_per_place")]
        indexes = [models.Index(fields=["subject_type", "subject_id"])]

    def __str__(self) -> str:
        return f"{self.seq}: {self.verb} {self.subject_label}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("The evidence log is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        raise TypeError("The evidence log is append-only.")
