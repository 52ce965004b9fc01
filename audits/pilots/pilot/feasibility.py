"""Four ways in which published marks failed, as measured rows of a pilot. Torch-free.

Adaptability: does this dataset take the mark at all? Success: is it found often enough at the share that was chosen?
Portability: does it hold for learners other than the planned one? Assumptions: does it hang on labels that only the
suspect's owner knows?
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from audits.judging.bases import BASES, Basis
from audits.pilots.pilot.advice import BASIS_WORDS
from audits.pilots.pilot.found import LevelFound, LineFound, PilotFound
from audits.pilots.pilot.settings import PilotSettings, Proposal
from audits.pilots.pilot.summary import Interval, Power, interval_of, powers
from audits.pilots.pilot.variations import Variation

Failure = Literal["adaptability", "success", "portability", "assumptions"]
PLANNED = "as planned"


@dataclass(frozen=True)
class Row:
    """One measured row of one proposal. power: how often it was found; deviations: mean z of the audits."""

    failure: Failure
    proposal: Proposal
    varied: str
    power: dict[Basis, Power]
    deviations: dict[Basis, Interval]


def feasibility(settings: PilotSettings, found: PilotFound) -> list[Row]:
    """Rows of all proposals; nothing for what was asked for and not trained in time."""
    return [row for number in range(len(settings.proposals)) for row in _rows(settings, found, number)]


def _rows(settings: PilotSettings, found: PilotFound, number: int) -> Iterator[Row]:
    lines = [one for one in found.lines if one.line.proposal == number and one.line.method == settings.methods[0]]
    planned = [one for one in lines if not one.line.variation]

    def row(failure: Failure, varied: str, audits: Sequence[Mapping[Basis, LevelFound]]) -> Iterator[Row]:
        if any(audits):
            power = powers(audits, settings.alpha)
            yield Row(failure, settings.proposals[number], varied, power, _deviations(audits))

    as_planned = [one.levels for one in planned]
    yield from row("adaptability", PLANNED, as_planned)
    yield from row("success", PLANNED, as_planned)
    for one in settings.varied:
        if one.is_trained:
            yield from row("portability", one.title, [line.levels for line in _varied(lines, one)])
        else:
            yield from row("assumptions", one.title, [line.tasks.get(one.value, {}) for line in planned])


def _varied(lines: Sequence[LineFound], variation: Variation) -> list[LineFound]:
    return [one for one in lines if one.line.variation == str(variation)]


def _deviations(audits: Sequence[Mapping[Basis, LevelFound]]) -> dict[Basis, Interval]:
    found = {}
    for basis in BASES:
        if interval := interval_of([one[basis].z for one in audits if basis in one]):
            found[basis] = interval
    return found


def says(rows: Sequence[Row]) -> list[str]:
    """A sentence for each proposal: what the planned audits showed, and which variations showed it too.

    A variation is compared at the levels at which the planned audits deviate from chance, and at no others.
    """
    told = []
    for proposal in dict.fromkeys(row.proposal for row in rows):
        own = [row for row in rows if row.proposal == proposal]
        planned = [row for row in own if row.failure == "adaptability"]
        taken = {basis for row in planned for basis, one in row.deviations.items() if _deviates(one)}
        if not taken:
            told.append(f"“{proposal.title}”: {_nothing_taken(planned)}.")
            continue
        told.append(
            f"“{proposal.title}”: the models that learnt as planned deviate from chance "
            f"({', '.join(BASIS_WORDS[basis] for basis in BASES if basis in taken)}); {_elsewhere(own, taken)}."
        )
    return told


def _nothing_taken(planned: Sequence[Row]) -> str:
    if not planned:
        return "no model that learnt as planned was audited"
    if all(one.low is None for row in planned for one in row.deviations.values()):
        return "one audit cannot tell how far models that learnt as planned deviate from chance; try more keys"
    return "as far as these audits show, the models that learnt as planned do not deviate from chance"


def _elsewhere(own: Sequence[Row], taken: set[Basis]) -> str:
    varied = [row for row in own if row.failure in ("portability", "assumptions") and taken & set(row.deviations)]
    if not varied:
        return "of the variations that were asked for, none was audited there"
    weaker = [row.varied for row in varied if not any(_deviates(row.deviations.get(basis)) for basis in taken)]
    if weaker:
        return f"not so, as far as these audits show: {', '.join(weaker)}"
    return f"so do those of {', '.join(row.varied for row in varied)}"


def _deviates(one: Interval | None) -> bool:
    return one is not None and one.low is not None and one.low > 0
