from audits.models import Report
from audits.services.reports import issuing
from audits.services.reports.job import write_report
from provenance.models import Job
from provenance.services.jobs.running import JobRun
from tests.audits.builders_reports import finished_audit
from tests.permissions.access import EVERYONE, OWNER_DATA, Access
from tests.world import World


def audit(world: World) -> dict[str, object]:
    return {"audit": finished_audit(world).pk}


def issued(world: World) -> dict[str, object]:
    report = issuing.issue(finished_audit(world), by=world.legal)
    assert report.job_id
    Job.objects.filter(pk=report.job_id).update(state=Job.State.RUNNING, attempt=1)
    job = Job.objects.get(pk=report.job_id)
    write_report(JobRun(job))
    assert Report.objects.get(pk=report.pk).state == Report.State.ISSUED
    return {"pk": report.pk}


ACCESS = {
    "report_list": Access(EVERYONE),
    "report_detail": Access(OWNER_DATA, issued),
    "report_pdf": Access(OWNER_DATA, issued),
    "report_json": Access(OWNER_DATA, issued),
    "report_issue": Access(frozenset({"legal"}), audit, method="post"),
}
