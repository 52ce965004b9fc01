"""What a person chooses for a plan, and what follows from it without looking at anything but rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.models import Plan, RegisteredModel
from provenance.errors import TouchmarkError
from provenance.marks import MarkSettings
from provenance.models import Release, Version

MOST_DECOYS_PLANNED = 10_000
# Fields of Plan that hold one value each, named as in PlanValues.
COPIED = (
    "name",
    "version",
    "suspect",
    "level",
    "probes",
    "group_images",
    "permutations",
    "decoys",
    "exceedances",
    "alpha",
    "series_is_open",
    "held_out",
    "decide_with_references",
    "wrong_key_control",
)


class PlanError(TouchmarkError):
    """A plan that cannot be saved, locked or run as it stands."""


@dataclass(frozen=True)
class PlanValues:
    """What a person chooses. `references` may be empty; `group_images` counts per group.

    level: the level that decides; further_primary: others that decide beside it. series_is_open: runs against this
    suspect may go on until one succeeds. held_out: a version whose images were never released, or None.
    """

    name: str
    version: Version
    releases: Sequence[Release]
    suspect: RegisteredModel
    references: Sequence[RegisteredModel] = ()
    level: str = Plan.Level.FEATURES
    further_primary: Sequence[str] = ()
    probes: int = 300
    group_images: int = 50
    permutations: int = 1_000_000
    decoys: int = 199
    exceedances: int = 20
    alpha: float = 0.01
    series_is_open: bool = False
    held_out: Version | None = None
    decide_with_references: bool = False
    wrong_key_control: bool = True

    @property
    def primary_levels(self) -> tuple[str, ...]:
        """Levels that decide, in the fixed order features, soft, hard."""
        return tuple(level for level in Plan.Level.values if level in {self.level, *self.further_primary})

    @property
    def secondary_levels(self) -> tuple[str, ...]:
        """Levels that are measured from the same answers and never decide."""
        return tuple(level for level in levels_of(self.suspect) if level not in self.primary_levels)

    @property
    def has_plain(self) -> bool:
        """Whether some mark set is plain, so that decoy keys are asked about."""
        return any(settings.is_plain for release in self.releases for settings in sets_of(release))

    @property
    def has_associated(self) -> bool:
        """Whether some mark set has groups, so that assignments are permuted."""
        return any(not settings.is_plain for release in self.releases for settings in sets_of(release))


def values_of(plan: Plan) -> PlanValues:
    """A saved plan's values, as `save_draft` took them."""
    return PlanValues(
        releases=list(plan.releases.select_related("key").order_by("recipient", "pk")),
        references=list(plan.references.order_by("name", "pk")),
        further_primary=[level for level in plan.primary_levels if level != plan.level],
        **{name: getattr(plan, name) for name in COPIED},
    )


def levels_of(model: RegisteredModel) -> tuple[str, ...]:
    """Levels that a model was registered to return, in the fixed order."""
    returns = set(model.spec.get("returns", []))
    return tuple(level for level in Plan.Level.values if level in returns)


def sets_of(release: Release) -> tuple[MarkSettings, ...]:
    """The mark sets that its images carry, in their order."""
    return tuple(release.key.mark_sets)


def groups_of(release: Release) -> int:
    """How many groups its marks tell apart, over all mark sets; none for plain marks."""
    return sum(len(settings.groups) for settings in sets_of(release))


def name_for(suspect: RegisteredModel, version: Version, releases: Sequence[Release]) -> str:
    """A plan's name where nobody chose one: two plans for two recipients must be told apart in a list."""
    whose = f"for {releases[0].recipient}" if len(releases) == 1 else f"for {len(releases)} recipients"
    return f"{suspect.name} against {version}, {whose}"[:200]
