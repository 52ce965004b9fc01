"""What a plan will cost and could reach, before it is locked: forward passes, time, smallest p, warnings."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.models import AuditRow, RegisteredModel
from audits.permutation import smallest_reachable_p
from audits.services.frozen_plans import groups_of
from audits.services.plans import PlanValues

# Opening a model's process and drawing permutations cost about this much beside the forward passes.
SECONDS_PER_MODEL = 8.0
SECONDS_PER_TEST_AND_MILLION = 0.3


@dataclass(frozen=True)
class Forecast:
    """`suspect_passes` and `passes` count images; `seconds` is None until every model has passed a connection test."""

    suspect_passes: int
    passes: int
    seconds: float | None
    smallest_p: float
    tests: int
    reaches_alpha: bool
    warnings: tuple[str, ...]

    @property
    def smallest_corrected_p(self) -> float:
        return min(1.0, self.smallest_p * self.tests)


def forecast(values: PlanValues) -> Forecast:
    """For values that may still be incomplete in everything but suspect and releases."""
    shapes = [values.decoys + 1 if release.is_plain else groups_of(release) for release in values.releases]
    images = 0 if values.is_plain else values.group_images
    plain = sum((patterns + 1) * values.probes + patterns * images for patterns in shapes)
    controls = [1 if values.is_plain else patterns for patterns in shapes]
    control = sum(controls) * values.probes if values.wrong_key_control else 0
    earlier = _earlier(values)
    tests = len(shapes) + earlier
    if values.is_plain:
        smallest = 1 / (values.decoys + 1)
    else:
        smallest = max((smallest_reachable_p(groups, values.permutations) for groups in shapes), default=1.0)
    reaches = bool(shapes) and tests * smallest <= values.alpha
    return Forecast(
        suspect_passes=plain + control,
        passes=plain + control + plain * len(values.references),
        seconds=_seconds(values, plain, control, len(shapes)),
        smallest_p=smallest,
        tests=tests,
        reaches_alpha=reaches,
        warnings=tuple(_warnings(values, reaches, tests, smallest, earlier)),
    )


def _earlier(values: PlanValues) -> int:
    rows = AuditRow.objects.filter(
        release__in=list(values.releases), audit__plan__suspect__sha256=values.suspect.sha256, audit__state="done"
    )
    return rows.count()


def images_per_second(model: RegisteredModel) -> float | None:
    """Speed that the last connection test measured."""
    speed = model.connection.get("images_per_second")
    return float(speed) if isinstance(speed, int | float) and speed > 0 else None


def _seconds(values: PlanValues, plain: int, control: int, releases: int) -> float | None:
    total = 0.0
    for model, passes in [(values.suspect, plain + control), *((r, plain) for r in values.references)]:
        speed = images_per_second(model)
        if speed is None:
            return None
        total += passes / speed + SECONDS_PER_MODEL
    if values.is_plain:
        return total
    tests = 3 * releases * (3 + 3 * len(values.references))
    return total + tests * SECONDS_PER_TEST_AND_MILLION * min(values.permutations, 10**8) / 1e6


def _warnings(values: PlanValues, reaches: bool, tests: int, smallest: float, earlier: int) -> Sequence[str]:
    found = []
    if values.releases and not reaches:
        over = f", corrected for {tests} tests," if tests > 1 else ""
        more = "decoy keys or" if values.is_plain else "permutations,"
        groups = "" if values.is_plain else ", or a release with more groups"
        found.append(
            f"This plan cannot reach alpha: its smallest p is {smallest:.2g}{over} and alpha is {values.alpha:g}. "
            f"Use more {more} fewer releases{groups}."
        )
    if earlier:
        found.append(
            f"{earlier} earlier result{'s' if earlier > 1 else ''} of this suspect against these releases "
            f"count{'' if earlier > 1 else 's'} in the correction."
        )
    untested = [m.name for m in (values.suspect, *values.references) if images_per_second(m) is None]
    if untested:
        found.append(f"Run the connection test of {', '.join(untested)} first: then the time can be estimated.")
    if values.is_plain and values.exceedances:
        found.append(
            f"The run ends early once {values.exceedances:,} decoy keys are at least as extreme as the true one "
            "at every level, so an innocent model mostly costs far less."
        )
    few = [release.recipient for release in values.releases if release.marked_count < 20 * groups_of(release)]
    if few:
        found.append(
            f"Fewer than 20 marked images per group in the release for {', '.join(few)}: a trace is hard to see."
        )
    if not values.references:
        found.append("Without references the test is exact all the same; two or three clean ones make it sharper.")
    return found
