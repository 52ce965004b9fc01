"""What a plan may claim: evidence only about keys that were fixed before the suspect was seen, and only from runs whose
number is settled or paid for (docs/method.md, sections 6.3 and 6.8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from enum import StrEnum

CLOSED_BEFORE = (
    "A closed run of this suspect against copies of the same images, of your organisation, of the data's owner or "
    "under its grant, is on its way or has asked it already, and a closed run may spend all of alpha: no further one "
    "can give evidence. Choose “Exploratory” (on the command line, --exploratory) for another look."
)
OPEN_BEFORE = (
    "This suspect has been run against copies of the same images in an open series, and a closed run beside it would "
    "spend more than alpha. Choose “More runs may follow, as many as it takes” (on the command line, --series-open)."
)
KNOWN_BEFORE = (
    "An exploratory run of this suspect against copies of the same images has been queued, or it was a reference of "
    "another suspect's run, and a plan that is made after a look, or taken up again after one, cannot be a closed one. "
    "Choose “More runs may follow, as many as it takes” (on the command line, "
    "--series-open), which pays for every look, or “Exploratory” (--exploratory)."
)
SHOWN_OF_A_REFERENCE = 3  # p-values of each release and level: alone at both tails, and with the others regressed out


class Kind(StrEnum):
    """What a run claims. Closed: its number is settled; open: it pays for further ones; exploratory: never evidence."""

    CLOSED = "closed"
    OPEN = "open"
    EXPLORATORY = "exploratory"


def kind_of(exploratory: bool, series_is_open: bool) -> Kind:
    if exploratory:
        return Kind.EXPLORATORY
    return Kind.OPEN if series_is_open else Kind.CLOSED


def is_late(committed_at: datetime, first_sight: datetime) -> bool:
    """Whether a key was committed to after the suspect was there to be tried out."""
    return committed_at > first_sight


def series_refusal(kind: Kind, others: Collection[Kind], begun: bool = False) -> str:
    """Why a run may not be made beside others of the same suspect against copies of the same images; "" if it may.

    others: those that are on their way or have asked. begun: it was queued before them and never ended, so a closed one
    may go on beside exploratory ones. One taken up again has not begun: else many are queued and cancelled,
    and a look says which to run.
    """
    if kind is Kind.EXPLORATORY:
        return ""
    if Kind.CLOSED in others:
        return CLOSED_BEFORE
    if kind is Kind.CLOSED and Kind.OPEN in others:
        return OPEN_BEFORE
    if kind is Kind.CLOSED and Kind.EXPLORATORY in others and not begun:
        return KNOWN_BEFORE
    return ""


def untested_copies(recipients: Iterable[str], at_issue: str = "") -> int:
    """How many copies count though no run tested them.

    recipients: whom every such copy is for, "" where that is not known. at_issue: the recipient that the plan named
    beforehand; then only further copies for the same one count, and keys that may still become one.
    """
    return sum(not at_issue or not one.strip() or same_recipient(one, at_issue) for one in recipients)


def same_recipient(one: str, other: str) -> bool:
    """Whether two names are the same but for case and blanks."""
    return one.split() != [] and one.casefold().split() == other.casefold().split()


def p_values_shown(releases: int, levels: int, with_references: bool) -> int:
    """How many p-values a run shows: of every release at every level, without the references and with them."""
    return releases * levels * (2 if with_references else 1)
