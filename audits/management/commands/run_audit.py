"""Queues the run of a locked plan, and waits for its result if asked to."""

from typing import Any

from django.core.management.base import CommandParser

from audits.models import Audit, Plan
from audits.services.results.as_json import as_json
from audits.services.runs.queueing import queue
from provenance.management.base import TouchmarkCommand
from provenance.models import User
from provenance.services.access import get_visible

CODES = {
    "evidence": 0,
    "inconclusive": 3,
    "no_evidence": 4,
    "exploratory_small_p": 5,
    "exploratory_no_small_p": 5,
}


class Command(TouchmarkCommand):
    help = (
        "Run the audit of a locked plan. Exit code 0: it ran (or was queued). With --code-conclusion: 0 evidence, "
        "3 inconclusive, 4 no evidence, 5 exploratory. 1: refused or failed."
    )

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--plan", required=True, help="id of a locked plan")
        parser.add_argument("--code-conclusion", action="store_true", help="tell the conclusion by the exit code")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        audit = queue(get_visible(Plan, user, options["plan"]), by=user)
        assert audit.job is not None  # noqa: S101 - queue made it
        self.finish(audit.job, options)
        audit = Audit.objects.get(pk=audit.pk)
        if audit.state != Audit.State.DONE:
            return {"audit": str(audit.pk), "job": str(audit.job_id), "state": audit.state}
        code = CODES[audit.conclusion] if options["code_conclusion"] else 0
        if options["json"]:
            return as_json(audit, user) | {"exit_code": code}
        rows = {
            f"copy for {row.release.recipient}": f"p {row.p:.3g}, corrected {row.p_corrected:.3g}, {row.conclusion}"
            for row in audit.rows.select_related("release")
        }
        return {"audit": str(audit.pk), "sentence": audit.sentence, **rows, "exit_code": code}
