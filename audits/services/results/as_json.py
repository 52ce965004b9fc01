"""An audit for machines: one JSON object, the same for the page's file and for the command."""

from dataclasses import asdict
from typing import Any

from audits.models import Audit, AuditRow, RegisteredModel
from audits.services.models.identity import names_seen_by
from audits.services.plans import series
from audits.services.plans.exposed import exposure_of_run
from audits.services.plans.other_images import other_images
from audits.services.plans.series import other_runs
from audits.services.results.keys import keys_of, seen_at
from audits.services.results.visible import visible_result
from provenance.models import User


def as_json(audit: Audit, user: User) -> dict[str, Any]:
    """One audit as JSON, as this person may see it."""
    plan, keys = audit.plan, keys_of(audit)
    others = other_runs(audit).seen_by(user)
    return {
        "id": str(audit.pk),
        "state": audit.state,
        "reason": audit.job.reason if audit.job else "",
        "conclusion": audit.conclusion or None,
        "sentence": audit.sentence or None,
        "created_at": audit.created_at.isoformat(),
        "finished_at": audit.finished_at.isoformat() if audit.finished_at else None,
        "facts": audit.facts,
        "plan": {"digest": plan.digest, "frozen": plan.frozen},
        "earlier_runs": [{"id": str(run.pk), "state": run.state} for run in others.earlier],
        "earlier_runs_elsewhere": others.earlier_elsewhere,
        "later_runs": [{"id": str(run.pk), "state": run.state} for run in others.later],
        "later_runs_elsewhere": others.later_elsewhere,
        "other_weights": asdict(series.other_weights(audit, user)),
        "suspect": _suspect(plan.suspect, user),
        "exploratory": plan.exploratory,
        "first_sight": seen_at(audit).isoformat(),
        "copies": plan.frozen.get("copies"),
        "not_compared": plan.frozen.get("not_compared"),
        "other_images": _other_images(audit, user),
        "keys": [key.to_json() for key in keys.rows],
        "keys_elsewhere": keys.elsewhere,
        "releases": [
            {
                "release": str(row.release_id),
                "recipient": row.release.recipient,
                "conclusion": row.conclusion,
                "level": row.found.deciding,
                "p": row.p,
                "p_corrected": row.p_corrected,
                "smallest_p": row.smallest_p,
                "alpha": plan.alpha,
                "result": row.as_stored(visible_result(row, user)),
                **_blocks(audit, row),
            }
            for row in audit.rows.select_related("release__version__dataset")
        ],
    }


def _blocks(audit: Audit, row: AuditRow) -> dict[str, Any]:
    """Of keyed choices: how many blocks there are, were kept, and were asked about before this run."""
    found = exposure_of_run(audit, row.release)
    return {"blocks_asked": {**asdict(found), "asked": found.asked, "words": found.words}} if found else {}


def _other_images(audit: Audit, user: User) -> dict[str, Any]:
    """Runs of the same suspect against other images of the same owner, which stand in no correction of this one."""
    others = other_images(audit, user)
    runs = [{"id": str(run.pk), "state": run.state, "conclusion": run.conclusion or None} for run in others.seen]
    return {"sets": others.sets, "runs": runs, "runs_elsewhere": others.unseen}


def _suspect(suspect: RegisteredModel, user: User) -> dict[str, Any]:
    """By what it is known again, and under which other names it is registered."""
    known = names_seen_by(suspect, user).to_json()
    return {"origin": suspect.origin, "tensors": suspect.identity.get("tensors"), **known}
