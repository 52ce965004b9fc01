"""The keys of the same images, as the facts of a report."""

from datetime import datetime

from audits.models import Audit
from audits.report.keys import KeyFacts, KeysFacts, OtherRun
from audits.services.plans.other_images import other_images
from audits.services.reports.log import time_text
from audits.services.results.keys import KeyRow, keys_of, seen_at


def keys_facts(audit: Audit) -> KeysFacts:
    """Runs of other organisations than the plan's are a number: whoever reads the report may not know of them."""
    plan, keys = audit.plan, keys_of(audit)
    copies = plan.frozen.get("copies", {})
    missing, others = plan.frozen.get("not_compared", {}), other_images(audit)
    own = [run for run in others.seen if run.plan.organisation_id == plan.organisation_id]
    published = plan.suspect.published_on
    return KeysFacts(
        first_seen_at=time_text(seen_at(audit)),
        published_on=published.isoformat() if published else "",
        rows=tuple(_key(row) for row in keys.rows),
        elsewhere=keys.elsewhere,
        never_tested=keys.never_tested,
        committed=copies.get("committed"),
        untested=copies.get("untested"),
        other_images=tuple(_other_run(run) for run in own),
        other_runs_elsewhere=others.runs - len(own),
        other_sets=others.sets,
        models_not_compared=missing.get("models", 0),
        versions_not_compared=missing.get("versions", 0),
        versions_given_up=missing.get("given_up", 0),
    )


def _other_run(run: Audit) -> OtherRun:
    return OtherRun(time_text(run.created_at), run.get_conclusion_display() or run.get_state_display())


def _key(row: KeyRow) -> KeyFacts:
    return KeyFacts(
        state=row.state,
        drawn_at=_time(row.drawn_at),
        committed_at=_time(row.committed_at),
        released_to=row.released_to,
        released_at=_time(row.released_at),
        tested_at=_time(row.tested_at),
        late=row.is_late,
        tested_here=row.is_tested_here,
    )


def _time(moment: datetime | None) -> str:
    return time_text(moment) if moment else ""
