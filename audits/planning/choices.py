"""The choices of a plan that are no rows of the database, declared once each.

From a declaration follow the form's field, the command's option, the key in the frozen text, the refusal and the line
on the page. A new choice is written here and as a column of `audits.models.Plan`, with its migration; then where the
test makes use of it. The order is the command's and the frozen text's; pages go by `Part`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from audits.planning.declaration import (
    Bounds,
    Buttons,
    Choice,
    Frozen,
    Option,
    Part,
    Shown,
    choices_of,
    either,
)
from audits.planning.views import ASKS_KEPT, KEPT_SHARE, LOOKS, MEMBERSHIP_SCORE, SMALLEST_CROP, VIEWS
from audits.statistics.density import LEVELS, Level
from audits.statistics.permutation import MOST_PERMUTATIONS
from audits.statistics.ranktest import SCORES, fewest_decoys
from provenance.marks.room import LEAST_PROBES
from provenance.wording import count

LEAST_PERMUTATIONS = 1_000
MOST_DECOYS_PLANNED = 10_000
ABOVE_ZERO = math.nextafter(0.0, 1.0)


def _once(exceedances: int) -> str:
    if not exceedances:
        return "none: all decoys are asked"
    return f"once {count(exceedances)} decoys are at least as extreme as the true key"


@dataclass(frozen=True, kw_only=True)
class PlanChoices:
    """`group_images` counts per group; `further_primary` are levels that decide beside `level`."""

    level: str = field(
        default="features",
        metadata=Choice(
            Part.LEVELS,
            "Level that decides",
            "All levels that the suspect returns are measured from the same answers; this one decides.",
            option=Option("--level", "level that decides"),
            frozen=Frozen("level"),
        ).metadata,
    )
    further_primary: Sequence[str] = field(
        default=(),
        metadata=Choice(
            Part.LEVELS,
            "Further levels that decide",
            "Each can bring evidence by itself, and each makes the correction stricter for all. Levels that you "
            "leave out are measured and shown all the same, but never decide.",
            option=Option(
                "--also-primary",
                "a further level that decides; repeat it (others are measured, but never decide)",
            ),
            is_several=True,
        ).metadata,
    )
    # Runs against this suspect may go on until one succeeds, so alpha is spent over all runs to come.
    series_is_open: bool = field(
        default=False,
        metadata=Choice(
            Part.SERIES,
            "More runs may follow, as many as it takes",
            "Leave it empty for one run that settles the matter. An open series pays for every p that its runs show "
            "and for all that are to come, so that an innocent model stays below alpha however often it is run. "
            "After a closed run there is no further one but an exploratory one.",
            option=Option(
                "--series-open",
                "this suspect may be run again as often as it takes: every run pays for all before it and to come",
            ),
            frozen=Frozen("series_is_open"),
            shown=Shown(
                "Correction",
                either(
                    "Holm over levels that decide and copies of the same images; after this run only exploratory ones",
                    "Holm over all that this run shows and copies of the same images; times the price of all runs "
                    "before it and to come, because the suspect may be run again",
                ),
            ),
        ).metadata,
    )
    exploratory: bool = field(
        default=False,
        metadata=Choice(
            Part.SERIES,
            "Exploratory",
            "A look that never gives evidence, however small its p. The only kind of plan where a key was committed to "
            "after the suspect was first seen, or where a closed run was made before.",
            option=Option("--exploratory", "a look that never gives evidence, however small its p"),
            frozen=Frozen("exploratory"),
            shown=Shown(
                "What it may claim",
                either("evidence, where the corrected p is small enough", "nothing: an exploratory run is no evidence"),
            ),
        ).metadata,
    )
    recipient_at_issue: bool = field(
        default=False,
        metadata=Choice(
            Part.SERIES,
            "The recipient is at issue",
            "Tick it where it was asked beforehand whether this one recipient’s copy was used. Copies of the same "
            "images for others then stand in the report with their number, and not in the correction. Left empty, "
            "every copy counts, tested or not.",
            option=Option(
                "--recipient-at-issue",
                "this recipient’s copy alone is at issue: copies for others are listed and do not count",
            ),
            frozen=Frozen("recipient_at_issue"),
            shown=Shown(
                "Copies that count",
                either(
                    "all of the same images that were committed before the lock, tested or not",
                    "those of the recipient at issue; others are listed",
                ),
            ),
        ).metadata,
    )
    probes: int = field(
        default=300,
        metadata=Choice(
            Part.PROBES,
            "Probes",
            option=Option("--probes"),
            frozen=Frozen("probes"),
            shown=Shown("Probes", count),
            bounds=Bounds(LEAST_PROBES, form_most=100_000, refusal=f"Use {LEAST_PROBES} probes or more."),
        ).metadata,
    )
    group_images: int = field(
        default=50,
        metadata=Choice(
            Part.ASSIGNMENTS,
            "Clean images per group",
            "What the pull is measured towards.",
            option=Option("--group-images", "clean images per group (default %(default)s)"),
            frozen=Frozen("group_images"),
            shown=Shown("Clean images per group", "up to {:,}".format),
            bounds=Bounds(1, form_most=10_000, refusal="Use at least one image of every group."),
            beside="probes",
        ).metadata,
    )
    permutations: int = field(
        default=1_000_000,
        metadata=Choice(
            Part.ASSIGNMENTS,
            "Permutations",
            "They cost no forward passes. With nine groups or fewer all assignments are taken.",
            option=Option("--permutations"),
            frozen=Frozen("permutations"),
            shown=Shown("Permutations", "{:,}, or all where they can be counted".format),
            bounds=Bounds(
                LEAST_PERMUTATIONS,
                MOST_PERMUTATIONS,
                refusal=f"Choose between {count(LEAST_PERMUTATIONS)} and {count(MOST_PERMUTATIONS)} permutations.",
            ),
            beside="alpha",
        ).metadata,
    )
    # How many are refused depends on the references and on each other: see `audits.services.plans.checks`.
    decoys: int = field(
        default=199,
        metadata=Choice(
            Part.RANKS,
            "Decoy keys",
            "For plain marks: the true key is ranked among at most so many decoys. Each costs as many forward "
            "passes as there are probes.",
            option=Option("--decoys", "plain marks: decoy keys at most (default %(default)s)"),
            frozen=Frozen("decoys"),
            shown=Shown("Decoy keys", "at most {:,}".format),
            bounds=Bounds(fewest_decoys(len(SCORES), 0), MOST_DECOYS_PLANNED),
        ).metadata,
    )
    # Frozen as part of the stopping rule.
    exceedances: int = field(
        default=20,
        metadata=Choice(
            Part.RANKS,
            "Stop after so many exceedances",
            "For plain marks: the run ends once so many decoys are at least as extreme as the true key; 0 for never.",
            option=Option(
                "--exceedances",
                "plain marks: stop once so many decoys are as extreme as the true key; 0 for never "
                "(default %(default)s)",
            ),
            shown=Shown("Stopping rule", _once),
            bounds=Bounds(0, MOST_DECOYS_PLANNED),
            beside="decoys",
        ).metadata,
    )
    views: int = field(default=10, metadata=VIEWS.metadata)
    smallest_crop: float = field(default=0.6, metadata=SMALLEST_CROP.metadata)
    looks: int = field(default=1, metadata=LOOKS.metadata)
    membership_score: str = field(default="density", metadata=MEMBERSHIP_SCORE.metadata)
    kept_share: float = field(default=0.0, metadata=KEPT_SHARE.metadata)
    asks_kept: bool = field(default=False, metadata=ASKS_KEPT.metadata)
    alpha: float = field(
        default=0.01,
        metadata=Choice(
            Part.ALPHA,
            "Alpha",
            option=Option("--alpha"),
            frozen=Frozen("alpha"),
            shown=Shown("Alpha"),
            bounds=Bounds(
                ABOVE_ZERO,
                0.1,
                refusal="Alpha lies above 0 and at most at 0.1; 0.01 is usual.",
                form_least=1e-9,
            ),
        ).metadata,
    )
    decide_with_references: bool = field(
        default=False,
        metadata=Choice(
            Part.COUNTED,
            "The p that counts",
            "Both are always reported.",
            option=Option("--count-with-references", "the p with references decides"),
            frozen=Frozen("counted", either("without references", "with references")),
            shown=Shown("The p that counts", either("without references", "with the references regressed out")),
            buttons=Buttons("counted", off="without", on="with"),
        ).metadata,
    )
    # A key drawn for the purpose is asked about as well; it costs as many forward passes as the true one.
    wrong_key_control: bool = field(
        default=True,
        metadata=Choice(
            Part.CONTROLS,
            "Ask about a wrong key as a control",
            "Costs as many forward passes of the suspect as the true key.",
            option=Option("--no-wrong-key", "leave out the control with a wrong key"),
            frozen=Frozen("wrong_key"),
            shown=Shown("Wrong key as a control", either("no", "yes")),
        ).metadata,
    )

    @property
    def primary_levels(self) -> tuple[str, ...]:
        """Levels that decide."""
        return in_order({self.level, *self.further_primary})


CHOICES = choices_of(PlanChoices)


def in_order(levels: Collection[str]) -> tuple[Level, ...]:
    """Levels in the fixed order features, soft, hard."""
    return tuple(level for level in LEVELS if level in levels)


def frozen_of(chosen: PlanChoices, *parts: Part) -> dict[str, Any]:
    """What these parts bring into the frozen text."""
    return {c.frozen.key: c.frozen.words(getattr(chosen, c.name)) for c in CHOICES if c.frozen and c.part in parts}


def refusals(chosen: PlanChoices, *, plain: bool, associated: bool, keyed_choice: bool) -> Iterator[str]:
    """A sentence for every choice that is out of its bounds, of those that such mark sets need."""
    for choice in CHOICES:
        bounds = choice.bounds
        if bounds is None or not bounds.refusal:
            continue
        if not choice.is_needed(plain=plain, associated=associated, keyed_choice=keyed_choice):
            continue
        if not bounds.hold(getattr(chosen, choice.name)):
            yield bounds.refusal


def lines(chosen: Any, *, plain: bool, associated: bool, keyed_choice: bool) -> list[tuple[str, Any]]:
    """(label, words) for a plan's page. chosen: PlanChoices, or a row with columns of the same names."""
    needed = [c for c in CHOICES if c.is_needed(plain=plain, associated=associated, keyed_choice=keyed_choice)]
    ordered = sorted(needed, key=lambda choice: choice.part)
    return [(c.shown.label, c.shown.words(getattr(chosen, c.name))) for c in ordered if c.shown]
