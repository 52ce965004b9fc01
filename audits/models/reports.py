import uuid

from django.db import models

from audits.models.audits import Audit
from provenance.models import Job, User


class ReportState(models.TextChoices):
    QUEUED = "queued", "being written"
    ISSUED = "issued", "issued"
    FAILED = "failed", "failed"


class ReportQuerySet(models.QuerySet["Report"]):
    def for_user(self, user: User) -> "ReportQuerySet":
        return self.filter(audit__in=Audit.objects.for_user(user))


class Report(models.Model):
    """The evidence report of one audit: a PDF and the same facts as JSON, with their digests."""

    State = ReportState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="reports")
    number = models.CharField(max_length=40, unique=True)
    state = models.CharField(max_length=10, choices=ReportState.choices, default=ReportState.QUEUED)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    pdf = models.FileField(upload_to="reports/%Y/", max_length=300, blank=True)
    json = models.FileField(upload_to="reports/%Y/", max_length=300, blank=True)
    pdf_sha256 = models.CharField(max_length=64, blank=True)
    json_sha256 = models.CharField(max_length=64, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    issued_at = models.DateTimeField(null=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "report"

    def __str__(self) -> str:
        return self.number
