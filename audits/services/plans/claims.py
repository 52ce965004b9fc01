"""Plans that could not claim what they are made for: refused when they are locked, queued or begun."""

from audits.models import Audit, Plan
from audits.planning.claims import Kind, kind_of, series_refusal
from audits.services.plans.copies import late_refusal
from audits.services.plans.images import missing_refusal
from audits.services.plans.series import IN_PROGRESS, asked_as_reference, counting_runs, of_the_house
from audits.services.plans.values import PlanError, PlanValues, values_of


def refusal(values: PlanValues, plan: Plan | None = None) -> str:
    """Why a plan may not be locked or run as things stand; "" where it may. plan: whose own run is no other one."""
    missing = "" if plan and plan.is_locked else missing_refusal(values)  # a lock has settled what is compared
    return missing or late_refusal(values) or _series_refusal(values, plan)


def check_claims(values: PlanValues, plan: Plan | None = None) -> None:
    """Raises PlanError where a plan may not be locked or queued beside the keys and runs that there are."""
    if why := refusal(values, plan):
        raise PlanError(why)


def check_may_begin(audit: Audit) -> None:
    """The same for a run that was queued and has asked nothing yet.

    One that ended and was taken up again begins as if it were queued now.
    """
    if why := _series_refusal(values_of(audit.plan), audit.plan, begun=audit.state in IN_PROGRESS):
        raise PlanError(why)


def _series_refusal(values: PlanValues, plan: Plan | None, begun: bool = False) -> str:
    house = of_the_house(values.suspect, values.version)
    runs = counting_runs(values.suspect, values.version).filter(house)
    runs = runs.exclude(plan=plan) if plan else runs
    others = {
        kind_of(exploratory, is_open)
        for exploratory, is_open in runs.values_list("plan__exploratory", "plan__series_is_open")
    }
    if asked_as_reference(values.suspect, values.version).filter(house).exists():  # its own p-values were shown there
        others.add(Kind.EXPLORATORY)
    return series_refusal(kind_of(values.exploratory, values.series_is_open), others, begun)
