import uuid
from pathlib import Path

from django.conf import settings
from django.db import models

from provenance.models.jobs import Job
from provenance.models.people import Membership, Organisation, Role, User


class Modality(models.TextChoices):
    IMAGES = "images", "images"
    PAIRS = "pairs", "image–text pairs"


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def for_user(self, user: User) -> "DatasetQuerySet":
        """Datasets of the person's own organisations (administrators see people, not data), and granted ones."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        granted = DatasetGrant.objects.filter(auditor=user).values("dataset")
        return self.filter(models.Q(organisation__in=own) | models.Q(pk__in=granted))


class Dataset(models.Model):
    Modality = Modality

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=200)
    licence = models.CharField(max_length=200, blank=True)
    contact = models.CharField(max_length=300, blank=True)
    modality = models.CharField(max_length=10, choices=Modality.choices, default=Modality.IMAGES)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="dataset_name_in_organisation")]

    def __str__(self) -> str:
        return self.name

    @property
    def newest_version(self) -> "Version | None":
        """The version added last, ready or not; uses prefetched versions where a list brings them."""
        return max(self.versions.all(), key=lambda version: version.number, default=None)


class DatasetGrant(models.Model):
    """Permission for an auditor of another organisation to plan audits on a dataset."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="grants")
    auditor = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    granted_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dataset", "auditor"], name="one_grant_per_auditor")]

    def __str__(self) -> str:
        return f"{self.dataset} to {self.auditor}"


class VersionState(models.TextChoices):
    READING = "reading", "being read"
    READY = "ready", "ready"
    FAILED = "failed", "failed"


class VersionQuerySet(models.QuerySet["Version"]):
    def for_user(self, user: User) -> "VersionQuerySet":
        return self.filter(dataset__in=Dataset.objects.for_user(user))

    def ready(self) -> "VersionQuerySet":
        return self.filter(state=VersionState.READY)

    def given_up(self) -> "VersionQuerySet":
        """Those whose manifest is lost for good."""
        return self.ready().filter(given_up_at__isnull=False)


class Version(models.Model):
    """An immutable manifest of a dataset's files and its Merkle root."""

    State = VersionState

    class Source(models.TextChoices):
        UPLOAD = "upload", "uploaded archive"
        ARCHIVE = "archive", "archive on the server"
        FOLDER = "folder", "folder on the server"

    class Labels(models.TextChoices):
        NONE = "none", "no labels"
        FOLDER = "folder", "first folder level is the class"
        LAST_FOLDER = "last_folder", "last folder level is the class"
        CSV = "csv", "CSV file: path,label[,caption]"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.READING)
    source = models.CharField(max_length=10, choices=Source.choices)
    # The folder or archive on the server, or the name of the uploaded file.
    source_name = models.CharField(max_length=1000)
    upload = models.ForeignKey("provenance.Upload", on_delete=models.SET_NULL, null=True, related_name="+")
    labels = models.CharField(max_length=12, choices=Labels.choices, default=Labels.NONE)
    labels_file = models.CharField(max_length=1000, blank=True)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    root = models.CharField(max_length=64, blank=True)
    file_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    # Counts by format, size, label …: facts.json of the manifest folder.
    facts = models.JSONField(default=dict)
    # Words and phrases of its captions that would make good groups; None until they have been counted.
    suggested_words = models.JSONField(null=True)
    # How many images have a near-duplicate, and the digest of the file that says which; None until that was counted.
    near_duplicates = models.JSONField(null=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True)
    # Since when `Overlap` says which other versions have files in common with it.
    compared_at = models.DateTimeField(null=True)
    # A manifest that is lost for good, by the word of a rights-holder; until it is back the version counts as sharing
    # images with every other one of its organisation.
    given_up_at = models.DateTimeField(null=True)
    given_up_because = models.CharField(max_length=300, blank=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="version_number_in_dataset")]

    def __str__(self) -> str:
        return f"{self.dataset.name}, version {self.number}"

    @property
    def folder(self) -> Path:
        """Everything the intake wrote: manifest/, files/ (where we keep a copy), work/."""
        return settings.FILES_DIR / "versions" / str(self.id)

    @property
    def manifest_folder(self) -> Path:
        return self.folder / "manifest"

    @property
    def files_folder(self) -> Path:
        return Path(self.source_name) if self.source == self.Source.FOLDER else self.folder / "files"
