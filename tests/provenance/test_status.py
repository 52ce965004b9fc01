"""The status page: stuck work must be seen, other organisations' work must not."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from provenance.models import Job, WorkerSeen
from provenance.services.status import queue_states

pytestmark = pytest.mark.django_db


def job(organisation, **fields):
    values = {"kind": "dataset.manifest", "queue": "cpu", "subject_type": "version", "subject_id": "1"}
    return Job.objects.create(organisation=organisation, **{**values, "subject_label": "Meadows", **fields})


def page(client, **query):
    return client.get(reverse("status"), query).content.decode()


def test_waiting_work_without_a_worker_needs_attention(world):
    job(world.owner)
    cpu, gpu = queue_states()
    assert (cpu.state, cpu.queued) == ("needs attention", 1)
    assert gpu.state == "away"


def test_a_worker_counts_only_while_it_reports(world):
    now = timezone.now()
    seen = WorkerSeen.objects.create(name="celery@a", queues="cpu,gpu", seen_at=now, started_at=now)
    assert [queue.workers for queue in queue_states()] == [1, 1]
    seen.seen_at = now - timedelta(minutes=5)
    seen.save()
    assert [queue.workers for queue in queue_states()] == [0, 0]


def test_jobs_of_other_organisations_are_not_listed(world, sign_in):
    job(world.owner, subject_label="Meadows")
    job(world.elsewhere, subject_label="Secret harbour")
    shown = page(sign_in(world.administrator))
    assert "Meadows" in shown
    assert "Secret harbour" not in shown


def test_a_silent_running_job_is_marked(world, sign_in, settings):
    old = timezone.now() - timedelta(seconds=settings.JOB_LOST_SECONDS)
    job(world.owner, state="running", attempt=1, started_at=old, heartbeat_at=old, worker="celery@a")
    assert "silent" in page(sign_in(world.administrator))


def test_the_list_can_be_narrowed_to_a_state(world, sign_in):
    job(world.owner, state="failed", reason="The archive is damaged.", subject_label="Harbour")
    client = sign_in(world.administrator)
    assert "The archive is damaged." in page(client, state="failed")
    assert "Harbour" not in page(client, state="done")


def test_the_moving_part_comes_alone_when_htmx_asks(world, sign_in):
    shown = sign_in(world.administrator).get(reverse("status"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in shown
    assert "Queues" in shown
