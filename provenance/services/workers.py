"""Worker processes say that they are alive, so that pages can tell waiting from being stuck."""

import logging
import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.db import connection
from django.utils import timezone

from provenance.models import WorkerSeen

logger = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
_stopping = threading.Event()


@worker_ready.connect
def start_reporting(sender: Any, **kwargs: Any) -> None:
    """Runs in the worker's main process, never in the children that work jobs off."""
    queues = ",".join(sorted(sender.app.amqp.queues.consume_from))
    thread = threading.Thread(target=_report, args=(sender.hostname, queues), name="worker-seen", daemon=True)
    thread.start()


@worker_shutting_down.connect
def stop_reporting(**kwargs: Any) -> None:
    _stopping.set()


def _report(name: str, queues: str) -> None:
    started = timezone.now()
    while True:
        try:
            WorkerSeen.objects.update_or_create(
                name=name, defaults={"queues": queues, "seen_at": timezone.now(), "started_at": started}
            )
        except Exception:
            logger.exception("worker %s could not report", name)
        finally:
            connection.close()
        if _stopping.wait(REPORT_SECONDS):
            return
