"""What a plan will cost and could reach, before it is locked: forward passes, time, smallest p, warnings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audits.models import Plan, RegisteredModel
from audits.planning.choice_words import ChoiceWords
from audits.planning.claims import is_late
from audits.planning.exposure import Exposure
from audits.services.answers.kept import Asking, answered_before, runtime
from audits.services.models.sightings import first_sight
from audits.services.plans.captions import captions_left_out
from audits.services.plans.claims import refusal
from audits.services.plans.copies import Copies, copies_of
from audits.services.plans.exposed import as_locked, exposures, lacks_first_audit
from audits.services.plans.images import NotCompared, not_compared
from audits.services.plans.keyed_choices import Power, passes_of_choice, powers
from audits.services.plans.other_tests import other_test_passes_of
from audits.services.plans.reference_suggestions import input_side
from audits.services.plans.series import (
    findings_of_others,
    of_the_house,
    runs_of,
    shown_before,
    shown_by_strangers,
    shown_if_run,
)
from audits.services.plans.smallest_p import smallest_p
from audits.services.plans.values import PlanValues, groups_of, sets_of, words_of
from audits.statistics.corrections import open_factor
from provenance.marks import MarkSettings
from provenance.models import Release
from provenance.wording import count, counted, p_value

# Opening a model's process and drawing permutations cost about this much beside the forward passes.
SECONDS_PER_MODEL = 8.0
SECONDS_PER_TEST_AND_MILLION = 0.3


@dataclass(frozen=True)
class Forecast:
    """`suspect_passes` and `passes` count images; `seconds` is None until every model has passed a connection test.

    answered_before: images about which references were asked already, by an earlier audit with the same question;
    they are not in `passes`. tests: how many p-values will be corrected together. factor: by what the smallest p is
    multiplied in the correction, if all of them come out the same. seen: since when the suspect could be tried out.
    """

    suspect_passes: int
    passes: int
    answered_before: int
    seconds: float | None
    smallest_p: float
    tests: int
    factor: int
    reaches_alpha: bool
    warnings: tuple[str, ...]
    seen: datetime
    commitments: tuple["Committed", ...]
    copies: Copies
    not_compared: NotCompared
    exposures: tuple[tuple[Release, Exposure], ...] = ()  # blocks of keyed choices: kept, asked now and before
    powers: tuple[Power, ...] = ()  # of the test of the keyed choice, by the AUC that a model would give
    choice: ChoiceWords | None = None  # how to speak of it
    exploratory: bool = False  # whatever it reaches, it is no evidence
    refusal: str = ""  # why this plan could not be locked or run beside the runs that there are, and what to change

    @property
    def smallest_corrected_p(self) -> float:
        return min(1.0, self.smallest_p * self.factor)


@dataclass(frozen=True)
class Committed:
    """When the key of a release was committed to; late: after the suspect was first seen."""

    recipient: str
    at: datetime | None
    late: bool


@dataclass(frozen=True)
class Others:
    """Other runs of the suspect against copies of the same images. runs: of the house; findings: primary p-values of
    all that count; shown: all p-values of the house's before; strangers: all of others, which count with p = 1."""

    runs: int
    findings: int
    shown: int
    strangers: int


def forecast(values: PlanValues, plan: Plan | None = None) -> Forecast:
    """For values that may still be incomplete in everything but suspect and releases.

    plan: the saved plan that they belong to, whose own run is no other one.
    """
    before = {reference.pk: _answered_before(values, reference) for reference in values.references}
    models = (values.suspect, *values.references)
    asked = {model.pk: _passes(values, model) - before.get(model.pk, 0) for model in models}
    others, copies = _others(values, plan), _copies(values, plan)
    tests, factor = _correction(values, others, copies)
    seen = first_sight(values.suspect, values.version.dataset.organisation)
    smallest = max((smallest_p(values, release) for release in values.releases), default=1.0)
    reaches = bool(values.releases) and factor * smallest <= values.alpha
    return Forecast(
        suspect_passes=asked[values.suspect.pk],
        passes=sum(asked.values()),
        answered_before=sum(before.values()),
        seconds=_seconds(values, asked),
        smallest_p=smallest,
        tests=tests,
        factor=factor,
        reaches_alpha=reaches,
        warnings=tuple(_warnings(values, reaches, factor, smallest, others, copies)),
        seen=seen,
        commitments=tuple(_committed(release, seen) for release in values.releases),
        copies=copies,
        not_compared=_not_compared(values, plan),
        exposures=tuple(as_locked(plan) if plan and plan.is_locked else exposures(values, plan)),
        powers=powers(values, values.alpha / factor),
        choice=words_of(values.releases),
        exploratory=values.exploratory,
        refusal="" if plan and plan.audits.exists() else refusal(values, plan),
    )


def _passes(values: PlanValues, model: RegisteredModel) -> int:
    """Images that one model is asked about: by every mark set of every release, and by other tests."""
    is_suspect = model.pk == values.suspect.pk
    total = other_test_passes_of(values, model)
    for settings in (settings for release in values.releases for settings in sets_of(release)):
        total += _question(values, settings)
        if is_suspect and values.wrong_key_control:
            total += values.probes * max(1, len(settings.groups))
    return total + sum(passes_of_choice(values, release) for release in values.releases)


def _question(values: PlanValues, settings: MarkSettings) -> int:
    """Clean probes, probes with every pattern, images of every group; without the control."""
    if settings.is_plain:
        return values.probes * (values.decoys + 2)
    groups = len(settings.groups)
    return values.probes * (groups + 1) + values.group_images * groups


def _answered_before(values: PlanValues, reference: RegisteredModel) -> int:
    """Images about which this reference was asked the same by an earlier audit, or by one that runs at the moment."""
    found = 0
    for release in values.releases:
        for number, settings in enumerate(sets_of(release)):
            if not settings.is_plain:
                asking = Asking(reference, number, values.probes, values.group_images, runtime(reference.connection))
                found += _whole(answered_before(release, asking), values, settings)
    return found


def _whole(images: int, values: PlanValues, settings: MarkSettings) -> int:
    """A group may have fewer clean images than the plan asks for; then all that is left to ask is nothing."""
    probes = values.probes * (len(settings.groups) + 1)
    return _question(values, settings) if images > probes else images


def _others(values: PlanValues, plan: Plan | None) -> Others:
    runs = runs_of(values.suspect, values.version).filter(of_the_house(values.suspect, values.version))
    runs = runs.exclude(plan=plan) if plan else runs
    found = findings_of_others(values.suspect, values.version, values.suspect.organisation, plan)
    return Others(
        runs=runs.count(),
        findings=sum(1 for finding in found if finding.primary),
        shown=shown_before(values.suspect, values.version, plan.audits.first() if plan else None),
        strangers=shown_by_strangers(values.suspect, values.version),
    )


def _copies(values: PlanValues, plan: Plan | None) -> Copies:
    """As a lock froze them, else as they stand now."""
    return Copies(**plan.frozen["copies"]) if plan and plan.counts_copies else copies_of(values)


def _not_compared(values: PlanValues, plan: Plan | None) -> NotCompared:
    """As a lock froze it, which earlier versions did not, else as it stands now."""
    if plan and plan.is_locked:
        return NotCompared(**plan.frozen.get("not_compared", {}))
    return not_compared(values)


def _committed(release: Release, seen: datetime) -> Committed:
    at = release.key.committed_at
    return Committed(release.recipient, at, at is None or is_late(at, seen))


def _correction(values: PlanValues, others: Others, copies: Copies) -> tuple[int, int]:
    """(number of p-values corrected together, factor on the smallest of them)."""
    untested = copies.untested * len(values.primary_levels)
    if values.series_is_open:
        together = max(1, shown_if_run(values)) + untested + others.strangers
        return together, open_factor(others.shown, together)
    together = max(1, len(values.releases) * len(values.primary_levels)) + untested + others.findings
    return together, together


def images_per_second(model: RegisteredModel) -> float | None:
    """Speed that the last connection test measured."""
    speed = model.connection.get("images_per_second")
    return float(speed) if isinstance(speed, int | float) and speed > 0 else None


def _seconds(values: PlanValues, asked: dict[Any, int]) -> float | None:
    total = 0.0
    for model in (values.suspect, *values.references):
        speed = images_per_second(model)
        if speed is None:
            return None
        total += asked[model.pk] / speed + SECONDS_PER_MODEL
    permuted = sum(1 for release in values.releases for settings in sets_of(release) if not settings.is_plain)
    tests = 3 * permuted * (3 + 3 * len(values.references))
    return total + tests * SECONDS_PER_TEST_AND_MILLION * min(values.permutations, 10**8) / 1e6


def _warnings(
    values: PlanValues, reaches: bool, factor: int, smallest: float, others: Others, copies: Copies
) -> Sequence[str]:
    found = []
    if values.releases and not reaches:
        found.append(_cannot_reach(values, factor, smallest, copies))
    if values.series_is_open or others.findings:
        found.append(_other_runs(values, others, factor))
    untested = [m.name for m in (values.suspect, *values.references) if images_per_second(m) is None]
    if untested:
        found.append(f"Run the connection test of {', '.join(untested)} first: then the time can be estimated.")
    if values.has_plain and values.exceedances:
        found.append(
            f"The run ends early once {count(values.exceedances)} decoy keys are at least as extreme as the true one "
            "at every level, so an innocent model mostly costs far less."
        )
    few = [release.recipient for release in values.releases if release.marked_count < 20 * groups_of(release)]
    if few:
        found.append(
            f"Fewer than 20 marked images per group in the release for {', '.join(few)}: a trace is hard to see."
        )
    if (side := input_side(values.suspect)) and (blind := _too_fine_for(side, values)):
        found.append(
            f"{values.suspect.name} sees images of {side} px and cannot see the marks of the release for "
            f"{', '.join(blind)}, which need more."
        )
    if values.kept_share and not (values.series_is_open or values.exploratory):
        found.append(
            "After a closed run the house may make a second audit of the kept blocks as an exploratory one only."
        )
    if left_out := captions_left_out(values):
        found.append(f"{left_out} Other references, or a connection test that finds a text tower, would let it count.")
    if lacks_first_audit(values):
        found.append(
            f"No locked plan about this suspect and this copy kept a share of {values.kept_share:g} before, so this "
            "would be no second audit: it is a first one, of few blocks."
        )
    if not values.references:
        found.append("Without references the test is exact all the same; two or three clean ones make it sharper.")
    return found


def _too_fine_for(side: int, values: PlanValues) -> list[str]:
    """Recipients whose copy bears a mark that inputs of `side` pixels do not carry."""
    return [r.recipient for r in values.releases if any(mark.least_edge > side for mark in sets_of(r))]


def _other_runs(values: PlanValues, others: Others, factor: int) -> str:
    if values.series_is_open:
        return (
            f"This would be run {count(others.runs + 1)} of an open series against this suspect, after "
            f"{counted(others.shown, 'p-value')} of earlier runs: the smallest p is multiplied by {count(factor)}, the "
            "price of being free to run again."
        )
    plural, verb = ("s", "") if others.findings > 1 else ("", "s")
    return (
        f"{others.findings} primary test{plural} of other runs of this suspect against copies of the same images "
        f"count{verb} in the correction, whether finished, on the way or ended after the first question."
    )


def _cannot_reach(values: PlanValues, factor: int, smallest: float, copies: Copies) -> str:
    over = f", times {count(factor)} for the tests made," if factor > 1 else ""
    more = [
        *(["more decoy keys"] if values.has_plain else []),
        *(["more permutations", "a release with more groups"] if values.has_associated else []),
        *(["a smaller share kept for a second audit"] if values.kept_share and not values.asks_kept else []),
        *(["fewer levels that decide"] if len(values.primary_levels) > 1 else []),
        *(["fewer releases"] if len(values.releases) > 1 else []),
        *(
            ["one recipient at issue, where that was settled beforehand"]
            if copies.untested and not values.recipient_at_issue
            else []
        ),
    ]
    return (
        f"This plan cannot reach alpha: its smallest p is {p_value(smallest)}{over} and alpha is "
        f"{p_value(values.alpha)}. Use {' or '.join(more)}."
    )
