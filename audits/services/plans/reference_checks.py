"""Whether a plan whose p with references counts could tell a rigged reference; it is refused where it could not.

Each reference is tested itself, at both tails (`tainted` in `audits.judging`). That protects nobody where no p of a
reference can be as small as its share of alpha: docs/method.md, section 6.4.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from audits.planning.choices import MOST_DECOYS_PLANNED
from audits.services.plans.frozen import stopping_rule
from audits.services.plans.keyed_choices import smallest_p_of_choice
from audits.services.plans.smallest_p import smallest_of_set
from audits.services.plans.values import PlanError, PlanValues, choice_of, sets_of
from audits.statistics.permutation import MOST_PERMUTATIONS
from provenance.marks import MarkSettings
from provenance.wording import count, counted, p_value


def check_rigged_references_are_told(values: PlanValues) -> None:
    """Raises PlanError where a reference that reacts to any one mark set could not reach its share of alpha."""
    if not values.decide_with_references or not values.references:
        return
    blind = max(_blind(values), default=None)
    if blind is None:
        return
    shares, p = blind
    remedies = [*_more_compared(values), *_fewer_references(values), "to let the p without references count"]
    raise PlanError(
        f"The p with references cannot count here, because a rigged reference would go unnoticed: the test of each "
        f"reference would have to reach {p_value(values.alpha / shares)}, its share of alpha, and the least p that it "
        f"can give is {p_value(p)}. Choose {', or '.join(remedies)}."
    )


def _blind(values: PlanValues) -> Iterator[tuple[int, float]]:
    """(shares that alpha is divided into, smallest p) of every mark set that could not tell a reference."""
    for release in values.releases:
        found = [_smallest(values, settings) for settings in sets_of(release)]
        if choice_of(release):
            found.append(smallest_p_of_choice(values, release))
        for p in found:
            # As the judging counts: two tails of every reference, and of several sets the strongest.
            if 2 * len(values.references) * (len(found) * p) > values.alpha:
                yield 2 * len(values.references) * len(found), p


def _smallest(values: PlanValues, settings: MarkSettings) -> float:
    """Least p of a reference's own test. It ends with the suspect's: at the first look where that may be evidence."""
    if not settings.is_plain:
        return smallest_of_set(settings, values)
    rule = stopping_rule(values)
    looks = rule.looks(references=len(values.references))
    found = [look for look in looks if (rule.exceedances + 1) / (look + 1) <= values.alpha]
    return 1 / (min([*found, rule.decoys]) + 1)


def _more_compared(values: PlanValues) -> list[str]:
    """What would do with all these references, if anything does."""
    shares = max(shares for shares, _ in _blind(values))
    least = _least_compared(shares, values.alpha)
    more = replace(
        values,
        decoys=max(values.decoys, least) if values.has_plain else values.decoys,
        permutations=max(values.permutations, least) if values.has_associated else values.permutations,
    )
    if more.decoys > MOST_DECOYS_PLANNED or more.permutations > MOST_PERMUTATIONS:
        return []
    if any(_blind(more)) and more.exceedances:
        more = replace(more, exceedances=max(more.exceedances, shares - 1))
    if any(_blind(more)):
        return []
    names = {"decoys": "decoy keys", "permutations": "permutations", "exceedances": "exceedances before the stop"}
    changed = [name for name in names if getattr(more, name) != getattr(values, name) and _matters(more, values, name)]
    return [" and ".join(f"at least {count(getattr(more, name))} {names[name]}" for name in changed)]


def _matters(more: PlanValues, values: PlanValues, name: str) -> bool:
    return any(_blind(replace(more, **{name: getattr(values, name)})))


def _least_compared(shares: int, alpha: float) -> int:
    """Decoys or random permutations n with 1 / (n + 1) at one share of alpha; rounding may ask for one more."""
    least = max(1, math.ceil(shares / alpha) - 2)
    while shares * (1 / (least + 1)) > alpha:
        least += 1
    return least


def _fewer_references(values: PlanValues) -> list[str]:
    for fewer in range(len(values.references) - 1, 0, -1):
        if not any(_blind(replace(values, references=values.references[:fewer]))):
            return [f"at most {counted(fewer, 'reference')}"]
    return []
