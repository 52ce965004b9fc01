"""Controls: references tested as if they were suspects, and how a small p among controls reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from audits.judging.levels import Control
from provenance.wording import counted

SMALL = 0.05
T = TypeVar("T")


class TwoTails(Protocol):
    """Outcome of a test."""

    @property
    def p(self) -> float: ...
    @property
    def p_lower(self) -> float: ...


def controls_of_references(
    references: Mapping[str, T], test: Callable[[T, list[T], str], TwoTails]
) -> tuple[Control, ...]:
    """Every reference tested as a suspect, at both tails, and beside the others where there are some.

    references: scores by name. test: of scores, those of references to take out, and what it is for.
    """
    found: list[Control] = []
    for name, scores in references.items():
        alone = test(scores, [], f"reference {name}")
        left = [other for rest, other in references.items() if rest != name]
        found.append(Control(name, "reference", "high", alone.p))
        found.append(Control(name, "reference", "low", alone.p_lower))
        if left:  # the only reference has no others to be taken out
            beside = test(scores, left, f"reference {name} left out")
            found.append(Control(name, "reference left out", "high", beside.p))
    return tuple(found)


def tainted(controls: Sequence[Control], alpha: float) -> tuple[str, ...]:
    """References that react to the key themselves: of the two tails of every one each gets its share of alpha."""
    tails: dict[str, list[float]] = {}
    for control in controls:
        if control.kind == "reference":
            tails.setdefault(control.name, []).append(control.p)
    return tuple(name for name, p_values in tails.items() if 2 * len(tails) * min(p_values) <= alpha)


def is_small(p: float) -> bool:
    return p <= SMALL


def small_ones(p_values: Sequence[float], alpha: float) -> str:
    """What to make of these controls' p-values, as sentences. The mean of what chance gives needs no independence."""
    total, found = len(p_values), sum(map(is_small, p_values))
    has = "has" if 1 in (found, total) else "have"
    said = (
        f"{found or 'None'} of {counted(total, 'control')} {has} a p of {SMALL:g} or less. Where nothing reacts to "
        f"the key, chance alone gives up to {SMALL * total:.2g} such on average"
    )
    if not found:
        return f"{said}."
    return (
        f"{said}, and they come together, for levels and tails rest on the same answers. By itself a small one is no "
        f"fault: a wrong key counts as found at alpha ({alpha:g}) or less, a reference as one that reacts at its share "
        "of alpha; where either happens, it is said."
    )
