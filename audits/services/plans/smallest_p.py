"""The least p that a plan's tests could give, known before any question is asked."""

import math
from functools import lru_cache

from audits.services.plans.keyed_choices import OMNIBUS, RANDOM_CHOICES, smallest_p_of_choice
from audits.services.plans.values import PlanValues, choice_of, sets_of
from audits.statistics.combination import combine
from audits.statistics.permutation import ENUMERATED_UP_TO, smallest_reachable_p
from provenance.marks import MarkSettings
from provenance.models import Release


def smallest_p(values: PlanValues, release: Release) -> float:
    """Least p that the plan's test of this release could give, over all its mark sets."""
    found = smallest_of_sets(values, release)
    if len(found) == 1:
        return found[0]
    grids = [*(_grid(settings, values) for settings in sets_of(release)), *_grid_of_choice(values, release)]
    known = [grid for grid in grids if grid is not None]
    # The same rule as the judging's: an exact count where every grid is known, else Fisher's bound.
    if len(known) < len(grids):
        return combine(found).p
    return combine([1 / grid for grid in known], known).p


def smallest_of_sets(values: PlanValues, release: Release) -> list[float]:
    """The same of every mark set by itself, in their order: the keyed choice stands last."""
    found = [smallest_of_set(settings, values) for settings in sets_of(release)]
    return [*found, smallest_p_of_choice(values, release)] if choice_of(release) else found


def _grid_of_choice(values: PlanValues, release: Release) -> list[int | None]:
    """The exact law of a keyed choice has no grid; that among random choices has."""
    if choice_of(release) is None:
        return []
    is_counted = values.membership_score == OMNIBUS and values.looks == 1
    return [RANDOM_CHOICES + 1 if is_counted else None]


def smallest_of_set(settings: MarkSettings, values: PlanValues) -> float:
    """The same of one mark set by itself, for the suspect as for a reference that is tested alone."""
    if settings.is_plain:
        return 1 / (values.decoys + 1)
    if settings.restriction is None:
        return smallest_reachable_p(len(settings.groups), values.permutations)
    counted, possible = assignments(settings)
    return 1 / counted if counted else max(1 / (values.permutations + 1), 1 / (possible or math.inf))


def _grid(settings: MarkSettings, values: PlanValues) -> int | None:
    """n where the set's p will be one of 1/n … n/n; a rank test that may stop early has none."""
    if settings.is_plain:
        return values.decoys + 1 if not values.exceedances else None
    if settings.restriction is None:
        exact = len(settings.groups) <= ENUMERATED_UP_TO
        return math.factorial(len(settings.groups)) if exact else values.permutations + 1
    return assignments(settings)[0] or values.permutations + 1


@lru_cache(maxsize=128)
def assignments(settings: MarkSettings) -> tuple[int | None, int | None]:
    """Of a restricted set: assignments where all of them are compared, else None; and how many are possible, if known.

    Kept, because counting what bans leave can take a second and a forecast moves with every keystroke.
    """
    restriction = settings.restriction
    assert restriction is not None  # noqa: S101
    orders = restriction.enumerated()
    return (math.prod(len(every) for every in orders) if orders is not None else None), restriction.possible()
