from provenance.models import Job
from tests.permissions.access import EVERYONE, OWNER, Access
from tests.world import World


def failed_job(world: World) -> dict[str, object]:
    job = Job.objects.create(
        kind="dataset.manifest",
        queue="cpu",
        organisation=world.owner,
        created_by=world.rights_holder,
        subject_type="version",
        subject_id="1",
        subject_label="Meadows, version 1",
        state=Job.State.FAILED,
        reason="The archive is damaged.",
    )
    return {"pk": job.pk}


ACCESS = {
    "overview": Access(EVERYONE),
    "health": Access(EVERYONE, public=True),
    "sign_in": Access(EVERYONE, public=True),
    "sign_out": Access(EVERYONE, method="post", public=True),
    "password_change": Access(EVERYONE),
    "job_detail": Access(OWNER, failed_job),
    "job_card": Access(OWNER, failed_job),
    "job_cancel": Access(frozenset({"rights_holder", "administrator"}), failed_job, method="post"),
    "job_retry": Access(frozenset({"rights_holder", "administrator"}), failed_job, method="post"),
}
