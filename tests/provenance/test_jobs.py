"""Jobs: queued once, claimed once, resumed after a loss, cancelled at the next block, ended with a reason."""

from datetime import timedelta

import psutil
import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from provenance.errors import TouchmarkError
from provenance.models import Job
from provenance.services.jobs import kinds, queue, sweeper, worker
from provenance.services.jobs.cards import titled
from provenance.services.jobs.kinds import job_kind
from provenance.services.jobs.running import JobRun

pytestmark = pytest.mark.django_db


@pytest.fixture
def kind():
    """kind(work) registers a job kind for one test and returns its name."""
    names: list[str] = []

    def register(work, ended=None, title="A test") -> str:
        name = f"test.{len(names)}"
        job_kind(name, title=title, queue="cpu", ended=ended)(work)
        names.append(name)
        return name

    yield register
    for name in names:
        del kinds.KINDS[name]


@pytest.fixture
def queued(world):
    def make(name: str, **fields) -> Job:
        job = queue.enqueue(name, world.owner, organisation=world.owner, by=world.rights_holder)
        Job.objects.filter(pk=job.pk).update(**fields)
        job.refresh_from_db()
        return job

    return make


def test_it_runs_as_soon_as_the_transaction_is_committed(kind, queued, django_capture_on_commit_callbacks):
    done: list[JobRun] = []
    with django_capture_on_commit_callbacks(execute=True):
        job = queued(kind(done.append))
        assert not done
    job.refresh_from_db()
    assert len(done) == 1
    assert (job.state, job.attempt) == (Job.State.DONE, 1)
    assert job.finished_at >= job.started_at


def test_a_second_delivery_does_nothing(kind, queued):
    done: list[JobRun] = []
    job = queued(kind(done.append))
    worker.run(str(job.pk))
    worker.run(str(job.pk))
    assert len(done) == 1


def test_progress_and_phase_are_written(kind, queued):
    def work(run: JobRun) -> None:
        run.progress(3, 7, "reading files")
        seen = Job.objects.get(pk=run.job.pk)
        assert (seen.progress_done, seen.progress_total, seen.phase, seen.percent) == (3, 7, "reading files", 42)

    job = queued(kind(work))
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert job.percent == 100


def test_a_refusal_is_told_in_its_own_words(kind, queued):
    ended: list[str] = []

    def work(run: JobRun) -> None:
        raise TouchmarkError("The archive is damaged; pack it again.", "bad magic number")

    job = queued(kind(work, ended=lambda job: ended.append(job.state)))
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert (job.reason, job.detail) == ("The archive is damaged; pack it again.", "bad magic number")
    assert ended == [Job.State.FAILED]


def test_an_unforeseen_error_keeps_its_traceback_for_engineers(kind, queued, caplog):
    def work(run: JobRun) -> None:
        raise ZeroDivisionError("surprise")

    job = queued(kind(work))
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "did not foresee" in job.reason
    assert "ZeroDivisionError: surprise" in job.detail
    assert "surprise" in caplog.text


def test_a_queued_job_is_cancelled_at_once(kind, queued, world):
    done: list[JobRun] = []
    job = queued(kind(done.append))
    queue.cancel(job, by=world.rights_holder)
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert not done


def test_a_running_job_is_cancelled_at_its_next_block(kind, queued, world):
    blocks: list[int] = []

    def work(run: JobRun) -> None:
        for block in range(3):
            run.progress(block, 3, f"block {block}")
            blocks.append(block)
            queue.cancel(run.job, by=world.rights_holder)

    job = queued(kind(work))
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert blocks == [0]


def test_only_the_starter_or_an_administrator_may_cancel(kind, queued, world):
    job = queued(kind(lambda run: None))
    with pytest.raises(PermissionDenied):
        queue.cancel(job, by=world.legal)
    queue.cancel(job, by=world.administrator)


def test_a_failed_job_can_be_run_again(kind, queued, world, django_capture_on_commit_callbacks):
    attempts: list[int] = []

    def work(run: JobRun) -> None:
        attempts.append(run.job.attempt)
        if len(attempts) == 1:
            raise TouchmarkError("The disk is full.")

    job = queued(kind(work))
    worker.run(str(job.pk))
    with django_capture_on_commit_callbacks(execute=True):
        queue.retry(job, by=world.rights_holder)
    job.refresh_from_db()
    assert (job.state, job.reason, attempts) == (Job.State.DONE, "", [1, 2])


def test_the_sweeper_sends_again_what_nobody_picked_up(kind, queued, settings):
    done: list[JobRun] = []
    long_ago = timezone.now() - timedelta(seconds=settings.JOB_RESEND_SECONDS + 1)
    job = queued(kind(done.append), sent_at=long_ago)
    assert sweeper.sweep() == (1, 0)
    job.refresh_from_db()
    assert job.state == Job.State.DONE
    assert len(done) == 1


def test_the_sweeper_leaves_fresh_jobs_alone(kind, queued):
    queued(kind(lambda run: None), sent_at=timezone.now())
    mine = f"elsewhere:{1}"
    queued(kind(lambda run: None), state=Job.State.RUNNING, attempt=1, worker=mine, heartbeat_at=timezone.now())
    assert sweeper.sweep() == (0, 0)


def test_a_silent_worker_loses_its_job_to_another_attempt(kind, queued, settings):
    done: list[int] = []
    silent = timezone.now() - timedelta(seconds=settings.JOB_LOST_SECONDS + 1)
    name = kind(lambda run: done.append(run.job.attempt))
    job = queued(name, state=Job.State.RUNNING, attempt=1, worker="elsewhere:1", heartbeat_at=silent)
    assert sweeper.sweep() == (0, 1)
    job.refresh_from_db()
    assert (job.state, done) == (Job.State.DONE, [2])


def test_a_dead_process_on_this_machine_is_noticed_without_waiting(kind, queued):
    import socket

    gone = max(psutil.pids()) + 4_000_000
    name = kind(lambda run: None)
    worker = f"{socket.gethostname()}:{gone}"
    job = queued(name, state=Job.State.RUNNING, attempt=1, worker=worker, heartbeat_at=timezone.now())
    assert sweeper.sweep() == (0, 1)
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def test_a_job_that_kills_every_worker_ends_with_a_reason(kind, queued, settings):
    ended: list[str] = []
    silent = timezone.now() - timedelta(seconds=settings.JOB_LOST_SECONDS + 1)
    name = kind(lambda run: None, ended=lambda job: ended.append(job.reason))
    job = queued(name, state=Job.State.RUNNING, attempt=3, worker="elsewhere:1", heartbeat_at=silent)
    sweeper.sweep()
    job.refresh_from_db()
    assert job.state == Job.State.FAILED
    assert "probably out of memory" in job.reason
    assert ended == [job.reason]


def test_a_worker_that_comes_back_too_late_changes_nothing(kind, queued):
    def work(run: JobRun) -> None:
        Job.objects.filter(pk=run.job.pk).update(attempt=2)  # another attempt has taken over meanwhile
        run.progress(1, 2, "late")

    job = queued(kind(work))
    worker.run(str(job.pk))
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    assert job.attempt == 2


def test_queue_position_counts_the_jobs_ahead(kind, queued):
    name = kind(lambda run: None)
    first, second = queued(name), queued(name)
    assert (first.queue_position, second.queue_position) == (1, 2)


def test_a_kind_brings_its_title_and_a_row_outlives_its_kind(kind, queued):
    name = kind(lambda run: None, title="Counting the sheep")
    job = queued(name)
    assert titled([job]) == [("Counting the sheep", job)]
    job.kind = "sheep.count_all"  # of an earlier version
    assert titled([job]) == [("sheep: count all", job)]


def test_messages_carry_the_id_alone(kind, queued, world, tmp_path, settings, monkeypatch):
    """What a broker sees of a job is its id."""
    from config.celery import app

    settings.CELERY_TASK_ALWAYS_EAGER = False
    monkeypatch.setitem(app.conf, "task_always_eager", False)
    job = queued(kind(lambda run: None))
    with app.connection_for_write("memory://") as broker:
        from provenance.tasks import run_job

        run_job.apply_async(args=[str(job.pk)], queue="cpu", connection=broker)
        message = broker.SimpleQueue("cpu").get(timeout=5)
    assert message.payload[0] == [str(job.pk)]
    assert message.payload[1] == {}
