import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from provenance.models.people import Membership, Organisation, Role, User


class JobState(models.TextChoices):
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"


class JobQuerySet(models.QuerySet["Job"]):
    def for_user(self, user: User) -> "JobQuerySet":
        """Jobs of the person's own organisations, and jobs they started themselves."""
        own = Membership.objects.filter(user=user).values("organisation")
        return self.filter(models.Q(organisation__in=own) | models.Q(created_by=user))

    def unfinished(self) -> "JobQuerySet":
        return self.filter(state__in=[JobState.QUEUED, JobState.RUNNING])

    def about(self, instance: models.Model) -> "JobQuerySet":
        """Jobs whose subject is this row, newest first."""
        return self.filter(subject_type=str(instance._meta.verbose_name), subject_id=str(instance.pk)).order_by(
            "-created_at"
        )


class Job(models.Model):
    """A piece of work: a row first, then a message that carries only its id.

    Written by provenance.services.jobs alone; every change of state is a conditional UPDATE.
    """

    State = JobState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=10)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="jobs")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="jobs")
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=64)
    subject_label = models.CharField(max_length=200)
    params = models.JSONField(default=dict)

    phase = models.CharField(max_length=100, blank=True)
    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    cancel_requested = models.BooleanField(default=False)
    reason = models.TextField(blank=True)
    detail = models.TextField(blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["state", "queue", "created_at"]),
            models.Index(fields=["subject_type", "subject_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.subject_label}"

    @property
    def is_finished(self) -> bool:
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)

    @property
    def percent(self) -> int | None:
        """Whole per cent done, or None while the total is not known."""
        if self.state == JobState.DONE:
            return 100
        if not self.progress_total:
            return None
        return min(100, 100 * self.progress_done // self.progress_total)

    @property
    def time_left(self) -> timedelta | None:
        """A straight-line forecast, or None while there is nothing to go by."""
        if self.state != JobState.RUNNING or not self.started_at or not self.progress_done or not self.progress_total:
            return None
        spent = timezone.now() - self.started_at
        return spent * (self.progress_total - self.progress_done) / self.progress_done

    @property
    def heartbeat_age(self) -> timedelta | None:
        return timezone.now() - self.heartbeat_at if self.heartbeat_at else None

    @property
    def is_silent(self) -> bool:
        """True for a running job whose worker has not been heard of for longer than it should."""
        age = self.heartbeat_age
        return (
            self.state == JobState.RUNNING and age is not None and age.total_seconds() > settings.JOB_LOST_SECONDS / 2
        )

    @property
    def queue_position(self) -> int | None:
        """1 for the job that is next in its queue; None once it is picked up."""
        if self.state != JobState.QUEUED:
            return None
        ahead = Job.objects.filter(queue=self.queue, state=JobState.QUEUED, created_at__lt=self.created_at)
        return ahead.count() + 1

    def may_be_steered_by(self, user: User) -> bool:
        """Whoever started a job, and the administrators of its organisation, may cancel or repeat it."""
        return self.created_by_id == user.pk or user.has_role(self.organisation, Role.ADMINISTRATOR)


class WorkerSeen(models.Model):
    """When each worker process was last heard of; the status page and job cards show it."""

    name = models.CharField(max_length=200, unique=True)
    queues = models.CharField(max_length=100)
    seen_at = models.DateTimeField()
    started_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_alive(self) -> bool:
        return timezone.now() - self.seen_at < timedelta(seconds=45)
