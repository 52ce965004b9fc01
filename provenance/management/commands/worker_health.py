"""Health check of a worker container: has the worker on this host reported within the last minute?"""

import socket
import sys
from typing import Any

from django.core.management.base import BaseCommand

from provenance.models import WorkerSeen


class Command(BaseCommand):
    help = "Exit 0 if the worker on this host is alive, 1 otherwise."

    def handle(self, *args: Any, **options: Any) -> None:
        here = [worker for worker in WorkerSeen.objects.all() if worker.name.endswith(f"@{socket.gethostname()}")]
        if not any(worker.is_alive for worker in here):
            self.stderr.write("No worker on this host has reported within the last 45 seconds.")
            sys.exit(1)
        self.stdout.write("alive")
