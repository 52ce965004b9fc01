import uuid
from typing import Any

from django.db import models

from audits.models.registered import RegisteredModel
from audits.planning.choices import PlanChoices, in_order, lines
from audits.planning.claims import Kind, kind_of
from audits.statistics.density import Level as LevelName
from provenance.models import Dataset, Membership, Organisation, Release, Role, User, Version


class Level(models.TextChoices):
    FEATURES = "features", "features"
    SOFT = "soft", "soft labels"
    HARD = "hard", "hard labels"


class PlanState(models.TextChoices):
    DRAFT = "draft", "draft"
    LOCKED = "locked", "locked"


class PlanQuerySet(models.QuerySet["Plan"]):
    def for_user(self, user: User) -> "PlanQuerySet":
        """Plans of the person's own organisations, and plans on datasets that their organisations own."""
        own = Membership.objects.filter(user=user).exclude(role=Role.ADMINISTRATOR).values("organisation")
        return self.filter(
            models.Q(organisation__in=own)
            | models.Q(version__dataset__in=Dataset.objects.filter(organisation__in=own), state=PlanState.LOCKED)
        )


class Plan(models.Model):
    """Frozen parameters of one test. A draft may be changed; a locked plan never.

    What its choices mean and how they are asked and shown stands in `audits.planning.choices`.
    """

    State = PlanState
    Level = Level

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(max_length=200)
    version = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="plans")
    releases = models.ManyToManyField(Release, related_name="plans")
    suspect = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="plans")
    references = models.ManyToManyField(RegisteredModel, related_name="plans_as_reference", blank=True)
    level = models.CharField(max_length=10, choices=Level.choices, default=PlanChoices.level)
    # Further levels that decide beside `level`; every other one that the suspect returns is secondary.
    further_primary = models.JSONField(default=list, blank=True)
    probes = models.PositiveIntegerField(default=PlanChoices.probes)
    group_images = models.PositiveIntegerField(default=PlanChoices.group_images)
    permutations = models.PositiveIntegerField(default=PlanChoices.permutations)
    decoys = models.PositiveIntegerField(default=PlanChoices.decoys)
    exceedances = models.PositiveIntegerField(default=PlanChoices.exceedances)
    views = models.PositiveIntegerField(default=PlanChoices.views)
    smallest_crop = models.FloatField(default=PlanChoices.smallest_crop)
    looks = models.PositiveIntegerField(default=PlanChoices.looks)
    membership_score = models.CharField(max_length=20, default=PlanChoices.membership_score)
    kept_share = models.FloatField(default=PlanChoices.kept_share)
    asks_kept = models.BooleanField(default=PlanChoices.asks_kept)
    alpha = models.FloatField(default=PlanChoices.alpha)
    series_is_open = models.BooleanField(default=PlanChoices.series_is_open)
    exploratory = models.BooleanField(default=PlanChoices.exploratory)
    recipient_at_issue = models.BooleanField(default=PlanChoices.recipient_at_issue)
    # Images that never left the house, for the tests of others that compare released with held-out images.
    held_out = models.ForeignKey(Version, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decide_with_references = models.BooleanField(default=PlanChoices.decide_with_references)
    wrong_key_control = models.BooleanField(default=PlanChoices.wrong_key_control)
    state = models.CharField(max_length=10, choices=PlanState.choices, default=PlanState.DRAFT)
    # The frozen text whose SHA-256 is the digest; set by locking.
    frozen = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, blank=True)
    locked_at = models.DateTimeField(null=True)
    locked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PlanQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "plan"

    def __str__(self) -> str:
        return self.name

    @property
    def primary_levels(self) -> tuple[LevelName, ...]:
        """Levels whose p-values decide, in the fixed order features, soft, hard."""
        return in_order({self.level, *self.further_primary})

    @property
    def primary_labels(self) -> list[str]:
        """The same in words."""
        return [str(Level(level).label) for level in self.primary_levels]

    @property
    def has_plain(self) -> bool:
        """Whether some mark set of its releases is plain: those are tested by rank among decoy keys."""
        releases = self.releases.select_related("key")
        return any(settings.is_plain for release in releases for settings in release.key.mark_sets.struck)

    @property
    def has_associated(self) -> bool:
        """Whether some mark set of its releases has groups: those are tested by permuting the assignment."""
        releases = self.releases.select_related("key")
        return any(not settings.is_plain for release in releases for settings in release.key.mark_sets.struck)

    @property
    def has_choice(self) -> bool:
        """Whether some release makes a keyed choice: it is tested by which alternative of every block stayed home."""
        return any(release.key.mark_sets.choice for release in self.releases.select_related("key"))

    @property
    def shown_choices(self) -> list[tuple[str, Any]]:
        """Label and words of every choice that its tests use; levels are shown apart."""
        return lines(self, plain=self.has_plain, associated=self.has_associated, keyed_choice=self.has_choice)

    @property
    def kind(self) -> Kind:
        """What its runs claim."""
        return kind_of(self.exploratory, self.series_is_open)

    @property
    def counts_copies(self) -> bool:
        """Whether its correction is over all copies of the same images; plans of earlier versions had fewer in it."""
        return "copies" in self.frozen

    @property
    def is_locked(self) -> bool:
        return self.state == PlanState.LOCKED
