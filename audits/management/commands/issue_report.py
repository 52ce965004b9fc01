from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audits.models import Audit, Report
from audits.services.reports import issued, issuing
from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.models import User
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Issues the evidence report of a finished audit: a PDF and the same facts as JSON."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("audit", help="id of the audit")
        parser.add_argument("--out", type=Path, help="folder into which both files are written; needs --wait or --here")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        out: Path | None = options["out"]
        if out is not None and not (options["wait"] or options["here"]):
            raise TouchmarkError("Say --wait or --here as well: there are no files before the report is written.")
        report = issuing.issue(get_visible(Audit, user, options["audit"]), by=user)
        if report.job is not None:
            self.finish(report.job, options)
        report.refresh_from_db()
        answer = {"report": str(report.pk), "number": report.number, "state": report.state, "job": str(report.job_id)}
        if report.state == Report.State.ISSUED:
            answer |= {"pdf_sha256": report.pdf_sha256, "json_sha256": report.json_sha256}
            if out is not None:
                answer |= self._write(report, out, user)
        return answer

    def _write(self, report: Report, out: Path, user: User) -> dict[str, str]:
        written = {}
        try:
            out.mkdir(parents=True, exist_ok=True)
            for kind in ("pdf", "json"):
                path = out / f"{report.number}.{kind}"
                path.write_bytes(issued.hand_out(report, kind, by=user))
                written[kind] = str(path)
        except OSError as error:
            raise TouchmarkError(
                f"The report is issued, but its files cannot be written to {out}.", str(error)
            ) from error
        return written
