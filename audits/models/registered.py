import uuid
from typing import TYPE_CHECKING

from django.db import models

from provenance.canonical import canonical_json
from provenance.models import Job, Membership, Organisation, Role, User

if TYPE_CHECKING:
    from audits.suspects.spec import ModelSpec


class ModelRole(models.TextChoices):
    SUSPECT = "suspect", "suspect"
    REFERENCE = "reference", "reference encoder"
    ENCODER = "encoder", "encoder for grouping"  # an owner's own: it groups images, and no audit asks about it


class ModelState(models.TextChoices):
    ARRIVING = "arriving", "arriving"  # its weights are being stored and hashed
    READY = "ready", "ready"
    REFUSED = "refused", "refused"


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def for_user(self, user: User) -> "RegisteredModelQuerySet":
        """Models of the organisations whose auditor, rights-holder or legal member the person is."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(organisation__in=own)

    def suspects(self) -> "RegisteredModelQuerySet":
        """Suspects whose weights have arrived."""
        return self.filter(role=ModelRole.SUSPECT, state=ModelState.READY)

    def encoders(self) -> "RegisteredModelQuerySet":
        """Encoders that group images and have passed their connection test."""
        ready = self.filter(role=ModelRole.ENCODER, state=ModelState.READY)
        return ready.filter(connection_at__isnull=False).exclude(connection={})

    def identified(self) -> "RegisteredModelQuerySet":
        """Those that were tested since today's identities are taken."""
        return self.filter(identity__has_key="named")

    def unidentified(self) -> "RegisteredModelQuerySet":
        """Those whose weights have arrived, and that were not tested since today's identities are taken."""
        return self.filter(state=ModelState.READY).exclude(identity__has_key="named")

    def references(self) -> "RegisteredModelQuerySet":
        """References whose weights have arrived."""
        return self.filter(role=ModelRole.REFERENCE, state=ModelState.READY)


class RegisteredModel(models.Model):
    """A suspect, a reference encoder declared never to have seen a release, or an encoder that groups an owner's
    images; its weights and how to run them."""

    ModelRole = ModelRole
    State = ModelState

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="models")
    role = models.CharField(max_length=10, choices=ModelRole.choices)
    state = models.CharField(max_length=10, choices=ModelState.choices, default=ModelState.READY)
    reason = models.TextField(blank=True)  # why it was refused
    name = models.CharField(max_length=200)
    origin = models.TextField(blank=True)  # where it came from, in the words of whoever registered it
    # By the declaration of whoever registered it; a key that was committed to later may have been chosen to fit it.
    published_on = models.DateField(null=True, blank=True)
    # ModelSpec.to_json(): format, architecture, input, what it returns.
    spec = models.JSONField()
    weights = models.FileField(upload_to="weights/%Y/", max_length=300, blank=True)
    weights_name = models.CharField(max_length=300)
    weights_size = models.BigIntegerField()
    weights_format = models.CharField(max_length=20, blank=True)  # safetensors, state_dict, onnx
    sha256 = models.CharField(max_length=64, blank=True)  # empty while the weights are arriving
    # References: the declaration that it never saw a release; who declared it and when.
    declaration = models.TextField(blank=True)
    declared_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    declared_at = models.DateTimeField(null=True)
    # The last connection test: input and output shapes, levels, images per second, device; {} until one has run.
    connection = models.JSONField(default=dict)
    connection_job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    connection_at = models.DateTimeField(null=True)
    # Identity.to_json() of the last connection test, {} until one has run since identities are taken; and what all
    # registrations share that were found to be one suspect, of whatever organisation: audits.services.models.identity.
    identity = models.JSONField(default=dict)
    identity_digest = models.CharField(
        max_length=64, blank=True
    )  # SHA-256 of its canonical JSON; "" before it was kept
    known_as = models.UUIDField(null=True, db_index=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "model"
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="model_name_in_organisation")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_reference(self) -> bool:
        return self.role == ModelRole.REFERENCE

    @property
    def is_suspect(self) -> bool:
        return self.role == ModelRole.SUSPECT

    @property
    def is_encoder(self) -> bool:
        return self.role == ModelRole.ENCODER

    @property
    def keeper(self) -> Role:
        """Who registers, tests and describes it: an encoder serves the rights-holder, all others the auditor."""
        return Role.RIGHTS_HOLDER if self.is_encoder else Role.AUDITOR

    @property
    def asked_as(self) -> str:
        """Weights and how they are run, so that answers of another model are never taken for these."""
        return f"{self.sha256} {canonical_json(self.spec).decode()}"

    @property
    def model_spec(self) -> "ModelSpec":
        from audits.suspects.spec import ModelSpec

        return ModelSpec.from_json(self.spec)
