"""The Celery application: it carries job ids, nothing else (see provenance.services.jobs)."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["filesystem"] = "config.local_broker:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("touchmark")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
