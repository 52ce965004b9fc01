import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    RIGHTS_HOLDER = "rights_holder", "rights-holder"
    AUDITOR = "auditor", "auditor"
    LEGAL = "legal", "legal"
    ADMINISTRATOR = "administrator", "administrator"


class User(AbstractUser):
    """A person. What they may do follows from their memberships, never from Django's own permission flags."""

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    def organisations(self, *roles: Role) -> "models.QuerySet[Organisation]":
        """The organisations in which this person holds at least one of `roles` (any role if none is named)."""
        memberships = Membership.objects.filter(user=self)
        if roles:
            memberships = memberships.filter(role__in=roles)
        return Organisation.objects.filter(pk__in=memberships.values("organisation")).order_by("name")

    def has_role(self, organisation: "Organisation", *roles: Role) -> bool:
        return Membership.objects.filter(user=self, organisation=organisation, role__in=roles).exists()

    def roles_in(self, organisation: "Organisation") -> set[str]:
        return set(Membership.objects.filter(user=self, organisation=organisation).values_list("role", flat=True))


class OrganisationQuerySet(models.QuerySet["Organisation"]):
    def for_user(self, user: User) -> "OrganisationQuerySet":
        return self.filter(pk__in=Membership.objects.filter(user=user).values("organisation"))


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    contact = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # The newest place and hash of its evidence log: held here so that writers queue up, and a cut-off tail is seen.
    log_seq = models.PositiveBigIntegerField(default=0)
    log_head = models.CharField(max_length=64, blank=True)

    objects = OrganisationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One role of one person in one organisation; a person with two roles has two rows."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organisation", "role"], name="one_row_per_role")]

    def __str__(self) -> str:
        return f"{self.user} is {self.get_role_display()} of {self.organisation}"


def subject_of(instance: models.Model) -> dict[str, Any]:
    """How a row is named in jobs and in the evidence log: its kind, id and label."""
    kind = instance._meta.verbose_name
    return {"type": str(kind), "id": str(instance.pk), "label": str(instance)[:200]}
