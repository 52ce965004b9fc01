"""Which p-values are corrected together: releases, levels and repeated runs of one suspect.

Primary and secondary levels: docs/method.md, section 6.2. Runs, those without a p of their own (they count with p = 1),
stored values, closed and open series: section 6.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audits.statistics.multiplicity import MultiplicityError, holm

OTHER_PLANS = "Tests against other releases in other plans are not among them."


@dataclass(frozen=True)
class Finding:
    """One p-value of one suspect: its release, its level, and the number of its run, from 1 for the first."""

    release: str
    level: str
    run: int
    p: float
    primary: bool = True


@dataclass(frozen=True)
class Corrected:
    """A p-value beside its correction. together: how many p-values it was corrected with; reason: why, for people."""

    tested: Finding
    corrected: float
    together: int
    reason: str


def open_ended(p: float, run: int) -> float:
    """p-value of run number `run` (from 1) of a series without a planned end: min(1, p run (run + 1)).

    The weights 1 / (run (run + 1)) sum to one over all runs to come (Bonferroni; docs/method.md, section 6.3). Raises
    MultiplicityError for what is no p-value or no number of a run.
    """
    if not 0.0 < p <= 1.0:
        raise MultiplicityError(f"A p-value lies above 0 and at most at 1; this one is {p}.")
    if run < 1:
        raise MultiplicityError("Runs are counted from 1.")
    return min(1.0, p * run * (run + 1))


def correct(tested: Sequence[Finding], series_is_open: bool = False) -> list[Corrected]:
    """Correct all p-values of one suspect, in the order given.

    tested: every run that was queued by now, with its p-value, or with 1; one that ended before it asked anything needs
    no entry. series_is_open: each p is first made `open_ended`, and Holm goes over its own run alone. Raises
    MultiplicityError where two entries name the same test.
    """
    names = [(item.release, item.level, item.run) for item in tested]
    if len(set(names)) != len(names):
        raise MultiplicityError("The same release, level and run is named twice.")
    # A level that is primary in one run and secondary in another counts here where it was declared primary.
    primary = [i for i, item in enumerate(tested) if item.primary]
    found: dict[int, Corrected] = {}
    for members, wanted in ((primary, True), (list(range(len(tested))), False)):
        for index, value, together in _holm_over(tested, members, series_is_open):
            if tested[index].primary is wanted:
                reason = _reason(tested, members, together, wanted, series_is_open)
                found[index] = Corrected(tested[index], value, together, reason)
    return [found[index] for index in range(len(tested))]


def corrected_if(tested: Sequence[Finding], index: int, p: float, series_is_open: bool = False) -> float:
    """What `tested[index]` would be corrected to if its p-value were `p`, all others as they are."""
    changed = [replace(item, p=p) if i == index else item for i, item in enumerate(tested)]
    return correct(changed, series_is_open)[index].corrected


def _holm_over(tested: Sequence[Finding], members: list[int], series_is_open: bool) -> list[tuple[int, float, int]]:
    """(index, corrected p, number corrected with) of every member."""
    if not series_is_open:
        adjusted = holm([tested[i].p for i in members])
        return [(i, value, len(members)) for i, value in zip(members, adjusted, strict=True)]
    found = []
    for run in sorted({tested[i].run for i in members}):
        same = [i for i in members if tested[i].run == run]
        adjusted = holm([open_ended(tested[i].p, run) for i in same])
        found += [(i, value, len(same)) for i, value in zip(same, adjusted, strict=True)]
    return found


def _reason(tested: Sequence[Finding], members: list[int], together: int, primary: bool, series_is_open: bool) -> str:
    if together == 1 and not series_is_open:
        named = "primary test" if primary else "test"
        return (
            f"Not corrected: when this result was stored, it was the only {named} of this suspect against this release."
        )
    count = {
        "release": len({tested[i].release for i in members}),
        "level": len({tested[i].level for i in members}),
        "run": len({tested[i].run for i in members}),
    }
    parts = [
        f"{number} {noun}s" for noun, number in count.items() if number > 1 and not (series_is_open and noun == "run")
    ]
    over = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    kind = "primary tests" if primary else "tests, primary and secondary,"
    named = f" ({over})" if over else ""
    so_far = "" if series_is_open else ", all that there were when this result was stored"
    text = f"Corrected by Holm's method over {together} {kind} of this suspect{named}{so_far}. {OTHER_PLANS}"
    if series_is_open:
        text += " Runs may be repeated without a planned end, so alpha is spent over all runs to come."
    return text if primary else f"{text} A secondary level does not decide the conclusion."
