"""What a person chooses for a plan, and what follows from it without looking at anything but rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from audits.models import Plan, RegisteredModel
from audits.planning.choice_words import WORDS, ChoiceWords
from audits.planning.choices import PlanChoices, in_order
from audits.planning.declaration import Choice, Option, Part, choices_of
from provenance.errors import TouchmarkError
from provenance.marks import MarkSettings
from provenance.marks.sets import ChoiceSettings
from provenance.models import Release, Version


class PlanError(TouchmarkError):
    """A plan that cannot be saved, locked or run as it stands."""


@dataclass(frozen=True)
class PlanValues(PlanChoices):
    """The choices, and the rows that a plan names. `references` may be empty."""

    name: str = field(
        metadata=Choice(
            Part.TESTED, "Name of the plan", "Drawn up if left empty.", option=Option("--name", "name of the plan")
        ).metadata
    )
    version: Version = field(
        metadata=Choice(
            Part.TESTED,
            "Dataset version",
            "Probes are drawn from its unmarked images.",
            option=Option("--dataset", "name of the dataset, or id of one of its versions"),
        ).metadata
    )
    releases: Sequence[Release] = field(
        metadata=Choice(
            Part.TESTED,
            "Releases to test for",
            "Several ask whose copy was used; their p-values are corrected together.",
            option=Option("--release", "recipient or id; repeat it (default: every ready release)"),
            is_several=True,
        ).metadata
    )
    suspect: RegisteredModel = field(
        metadata=Choice(
            Part.TESTED, "Suspect", option=Option("--suspect", "name or id of a registered suspect")
        ).metadata
    )
    references: Sequence[RegisteredModel] = field(
        default=(),
        metadata=Choice(
            Part.TESTED,
            "References",
            "Models declared never to have seen a release. Two or three make the test sharper. Each is tested "
            "itself, at both tails. A suspect that came out clean is no reference: that is no acquittal.",
            option=Option("--reference", "name or id of a reference; repeat it"),
            is_several=True,
        ).metadata,
    )
    held_out: Version | None = field(
        default=None,
        metadata=Choice(
            Part.TESTED,
            "Held-out images",
            "A version of images like the released ones that never left the house. Only the other tests, "
            "which are shown for comparison, ask about them; the test itself needs none.",
            option=Option(
                "--held-out",
                "name of a dataset, or id of a version, whose images were never released; for the other tests",
            ),
        ).metadata,
    )

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

    @property
    def has_choice(self) -> bool:
        """Whether some release makes a keyed choice, so that views of its alternatives are asked about."""
        return any(choice_of(release) for release in self.releases)


FIELDS = {choice.name: choice for choice in choices_of(PlanValues)}
# Fields of Plan that hold one value each, named as in PlanValues.
COPIED = tuple(choice.name for choice in FIELDS.values() if not choice.is_several)


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
    return in_order(model.spec.get("returns", []))


def sets_of(release: Release) -> tuple[MarkSettings, ...]:
    """The mark sets that its images carry, in their order."""
    return tuple(release.key.mark_sets.struck)


def choice_of(release: Release) -> ChoiceSettings | None:
    """The settings of its keyed choice: some of its images stayed home, or come in one of two versions."""
    found: ChoiceSettings | None = release.key.mark_sets.choice
    return found


def words_of(releases: Iterable[Release]) -> ChoiceWords | None:
    """How to speak of the keyed choice of releases that make one, which are all of one kind in a plan."""
    return next((WORDS[settings.to_dict()["kind"]] for release in releases if (settings := choice_of(release))), None)


def groups_of(release: Release) -> int:
    """How many groups its marks tell apart, over all mark sets; none for plain marks."""
    return sum(len(settings.groups) for settings in sets_of(release))


def name_for(suspect: RegisteredModel, version: Version, releases: Sequence[Release]) -> str:
    """A plan's name where nobody chose one: two plans for two recipients must be told apart in a list."""
    whose = f"for {releases[0].recipient}" if len(releases) == 1 else f"for {len(releases)} recipients"
    return f"{suspect.name} against {version}, {whose}"[:200]
