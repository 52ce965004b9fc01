"""Which p-values are corrected together: releases, levels, runs and untested copies of the same images.

Primary and secondary levels: docs/method.md, section 6.2. Runs, those without a p of their own (they count with p = 1),
stored values, closed and open series: section 6.3. Copies that nobody tested: section 6.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audits.statistics.multiplicity import MultiplicityError, holm

OTHER_IMAGES = "Tests against copies of other images are not among them."


@dataclass(frozen=True)
class Finding:
    """One p-value of one suspect: its release, its level, and the number of its run, from 1 for the first."""

    release: str
    level: str
    run: int
    p: float
    primary: bool = True


@dataclass(frozen=True)
class Spending:
    """What counts beside the p-values themselves.

    untested: tests of copies of the same images that were never made, each with p = 1. before: p-values that earlier
    runs of an open series made, None in a closed one. made: those that this run makes, deciding or not.
    """

    untested: int = 0
    before: int | None = None
    made: int = 0


@dataclass(frozen=True)
class Corrected:
    """A p-value beside its correction. together: how many p-values it was corrected with; reason: why, for people."""

    tested: Finding
    corrected: float
    together: int
    reason: str


def open_factor(before: int, together: int) -> int:
    """By what the smallest of `together` p-values is multiplied where earlier runs made `before`: (b + 1)(b + m + 1).

    The shares of alpha 1 / (i (i + 1)) sum to one over all p-values i to come; those of one run get equal parts of
    theirs (Bonferroni; docs/method.md, section 6.3). Raises MultiplicityError for what is no count.
    """
    if before < 0 or together < 1:
        raise MultiplicityError("Tests are counted from 0, and a run makes one at least.")
    return (before + 1) * (before + together + 1)


def correct(tested: Sequence[Finding], spending: Spending | None = None) -> list[Corrected]:
    """Correct p-values of one suspect, in the order given.

    tested: of a closed series every run that was queued by now, with its p-value, or with 1 (one that ended before it
    asked anything needs no entry); of an open series this run alone. Raises MultiplicityError where two entries name
    the same test.
    """
    spending = spending or Spending()
    names = [(item.release, item.level, item.run) for item in tested]
    if len(set(names)) != len(names):
        raise MultiplicityError("The same release, level and run is named twice.")
    # A level that is primary in one run and secondary in another counts here where it was declared primary.
    primary = [i for i, item in enumerate(tested) if item.primary]
    found: dict[int, Corrected] = {}
    for members, wanted in ((primary, True), (list(range(len(tested))), False)):
        together = _together(len(tested), len(members), spending)
        adjusted = _holm_among([tested[i].p for i in members], together, spending)
        reason = _reason(tested, members, together, wanted, spending) if members else ""
        for index, value in zip(members, adjusted, strict=True):
            if tested[index].primary is wanted:
                found[index] = Corrected(tested[index], value, together, reason)
    return [found[index] for index in range(len(tested))]


def corrected_if(tested: Sequence[Finding], index: int, p: float, spending: Spending | None = None) -> float:
    """What `tested[index]` would be corrected to if its p-value were `p`, all others as they are."""
    changed = [replace(item, p=p) if i == index else item for i, item in enumerate(tested)]
    return correct(changed, spending)[index].corrected


def _together(tested: int, members: int, spending: Spending) -> int:
    """In an open series levels that never decide count as well: whoever saw them may let them decide the next time."""
    return (members if spending.before is None else max(spending.made, tested)) + spending.untested


def _holm_among(p_values: Sequence[float], together: int, spending: Spending) -> list[float]:
    """Holm's method over `together` p-values, those that are not given being 1; at the price of an open series."""
    adjusted = holm([*p_values, *[1.0] * (together - len(p_values))])[: len(p_values)]
    if spending.before is None or not p_values:
        return adjusted
    price = open_factor(spending.before, together) / together
    return [min(1.0, value * price) for value in adjusted]


def _reason(tested: Sequence[Finding], members: list[int], together: int, primary: bool, spending: Spending) -> str:
    if spending.before is not None:
        text = _reason_of_open(together, spending.before, spending.untested)
    elif together == 1:
        named = "primary test" if primary else "test"
        return (
            f"Not corrected: when this result was stored, it was the only {named} of this suspect against this release."
        )
    else:
        text = _reason_of_closed(tested, members, together, primary, spending.untested)
    return text if primary else f"{text} A secondary level does not decide the conclusion."


def _reason_of_closed(
    tested: Sequence[Finding], members: list[int], together: int, primary: bool, untested: int
) -> str:
    count = {
        "release": len({tested[i].release for i in members}),
        "level": len({tested[i].level for i in members}),
        "run": len({tested[i].run for i in members}),
    }
    parts = [f"{number} {noun}s" for noun, number in count.items() if number > 1]
    parts += [f"{untested} of copies that were not tested and count with p = 1"] if untested else []
    over = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    kind = "primary tests" if primary else "tests, primary and secondary,"
    named = f" ({over})" if over else ""
    return (
        f"Corrected by Holm's method over {together} {kind} of this suspect{named}, all that there were when this "
        f"result was stored. {OTHER_IMAGES}"
    )


def _reason_of_open(together: int, before: int, untested: int) -> str:
    of_copies = f", {untested} of them of copies that were not tested," if untested else ""
    after = f" follow on {before} of earlier runs, and" if before else ""
    return (
        f"Corrected for an open series: {together} p-values of this suspect{of_copies}{after} count together, primary "
        f"and secondary, so the smallest is multiplied by {open_factor(before, together)}. {OTHER_IMAGES} Runs may be "
        "repeated without a planned end, so alpha is spent over all runs to come."
    )
