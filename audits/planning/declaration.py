"""What is declared of one choice, and what follows from it: its key in a frozen plan, its words on a page.

A choice is a dataclass field with `metadata=Choice(...).metadata`; `choices_of` reads them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

_KEY = "choice"

Words = Callable[[Any], Any]


class Part(IntEnum):
    """What a choice is about. Pages show the parts in this order, and each has its place in the frozen text."""

    TESTED = 1  # rows that the plan names: forms and commands look them up by code of their own
    LEVELS = 2
    COUNTED = 3
    PROBES = 4
    RANKS = 5  # of a plain mark's true key among decoy keys; of no use for other marks
    ASSIGNMENTS = 6  # permutations of the secret one; of no use where all marks are plain
    CHOICES = 7  # views of the alternatives of keyed choices; of no use where there is none
    ALPHA = 8
    SERIES = 9
    CONTROLS = 10

    def is_needed(self, *, plain: bool, associated: bool, keyed_choice: bool) -> bool:
        """Whether a plan that tests such mark sets uses the choices of this part."""
        needed = {
            Part.PROBES: plain or associated,
            Part.RANKS: plain,
            Part.ASSIGNMENTS: associated,
            Part.CHOICES: keyed_choice,
        }
        return needed.get(self, True)


def as_it_is(value: Any) -> Any:
    return value


def either(off: str, on: str) -> Words:
    """The words for a choice between two."""
    return lambda chosen: on if chosen else off


@dataclass(frozen=True)
class Option:
    """The option of a command; a switch turns its choice away from the default."""

    flag: str
    help: str | None = None


@dataclass(frozen=True)
class Frozen:
    """The key in the frozen text of a plan, and what stands there for a value."""

    key: str
    words: Words = as_it_is


@dataclass(frozen=True)
class Shown:
    """The line on a plan's page."""

    label: str
    words: Words = as_it_is


@dataclass(frozen=True)
class Bounds:
    """least, most: outside of them a plan is refused, with `refusal`; without a sentence only a form refuses.

    form_least, form_most: where a form takes less than a command may ask for.
    """

    least: float
    most: float | None = None
    refusal: str = ""
    form_least: float | None = None
    form_most: float | None = None

    def hold(self, value: float) -> bool:
        return self.least <= value and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Buttons:
    """Two radio buttons of a form instead of a box to tick; their labels are the words on the plan's page."""

    name: str
    off: str
    on: str


@dataclass(frozen=True)
class Choice:
    """label, help: of the form. beside: the choice whose row on the form it shares. is_several: it takes any number.
    words: what it may be, each with its words on the form; {} for numbers and switches.

    frozen: None where the frozen text says it in words that rest on several choices; shown: None likewise.
    """

    part: Part
    label: str
    help: str = ""
    option: Option | None = None
    frozen: Frozen | None = None
    shown: Shown | None = None
    bounds: Bounds | None = None
    buttons: Buttons | None = None
    beside: str = ""
    is_several: bool = False
    words: Mapping[str, str] = field(default_factory=dict)
    name: str = ""  # of the dataclass field
    default: Any = None

    @property
    def metadata(self) -> dict[str, Choice]:
        """Of the dataclass field that this declares."""
        return {_KEY: self}

    def is_needed(self, *, plain: bool, associated: bool, keyed_choice: bool) -> bool:
        return self.part.is_needed(plain=plain, associated=associated, keyed_choice=keyed_choice)


def choices_of(declaring: type) -> tuple[Choice, ...]:
    """Every choice that a dataclass declares, in its order; each with its name and default."""
    declared = [one for one in dataclasses.fields(declaring) if _KEY in one.metadata]
    return tuple(dataclasses.replace(one.metadata[_KEY], name=one.name, default=one.default) for one in declared)
