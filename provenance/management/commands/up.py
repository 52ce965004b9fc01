"""Starts the whole embedded instance, and stops all of it together."""

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

PATIENCE = 10.0  # seconds that a process gets to end by itself
PR_SET_PDEATHSIG = 1


@dataclass
class Part:
    """One process of the instance."""

    name: str
    arguments: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    quick_deaths: int = 0


class Command(BaseCommand):
    help = "Start dashboard, workers and sweeper together on this machine; Ctrl-C stops them all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port on the loopback address (default 8000)")
        parser.add_argument("--demo", action="store_true", help="run the main job end to end on images made for it")
        parser.add_argument("--then-stop", action="store_true", help="with --demo: stop once the demo has ended")

    def handle(self, *args: Any, **options: Any) -> None:
        lock = _take_lock()
        _refuse_a_taken_port(options["port"])
        os.environ["TOUCHMARK_LOOPBACK_HTTP"] = "1"
        os.environ.setdefault("SITE_URL", f"http://127.0.0.1:{options['port']}")
        call_command("migrate", verbosity=0, interactive=False)
        parts = _parts(options["port"])
        stopping: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, frame: stopping.append(received))
        demo: subprocess.Popen[bytes] | None = None
        try:
            for part in parts:
                _start(part)
            self.stdout.write(f"Touchmark listens on {os.environ['SITE_URL']} (Ctrl-C stops it)")
            self.stdout.write(f"Logs are in {settings.DATA_DIR / 'logs'}")
            if options["demo"]:
                demo = subprocess.Popen([sys.executable, "manage.py", "demo"], cwd=settings.BASE_DIR)
            while not stopping and not (options["then_stop"] and demo and demo.poll() is not None):
                time.sleep(0.5)
                for part in parts:
                    self._look_after(part)
        finally:
            if demo:
                demo.terminate()
            _stop(parts)
            lock.close()
        if demo and options["then_stop"] and demo.returncode:
            raise CommandError("The demo did not reach its end; its last lines say why.")

    def _look_after(self, part: Part) -> None:
        """A process that died is started again; one that keeps dying at once ends the instance with a reason."""
        if part.process is None or part.process.poll() is None:
            return
        lived = time.monotonic() - part.started
        part.quick_deaths = part.quick_deaths + 1 if lived < 10 else 0
        if part.quick_deaths >= 3:
            raise CommandError(f"The {part.name} stops as soon as it starts; {_log_file(part)} says why.")
        self.stderr.write(
            f"the {part.name} ended ({part.process.returncode}) and is started again; see {_log_file(part)}"
        )
        _start(part)


def _parts(port: int) -> list[Part]:
    worker = [sys.executable, "-m", "celery", "-A", "config", "worker", "--loglevel", "INFO", "--without-mingle"]
    worker += ["--without-gossip"]
    web = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    web += ["--worker-class", "gthread", "--timeout", "120", "--graceful-timeout", "5", "--log-level", "warning"]
    return [
        Part("web server", web),
        Part("cpu worker", [*worker, "-Q", "cpu", "-n", "cpu@%h", "--pool", "prefork"]),
        Part("gpu worker", [*worker, "-Q", "gpu", "-n", "gpu@%h", "--pool", "prefork"]),
        # The sweeper must never wait behind a long job, so it has a small worker of its own.
        Part("sweeper", [*worker, "-Q", "sweep", "-n", "sweeper@%h", "--pool", "solo", "--beat"]),
    ]


def _start(part: Part) -> None:
    part.started = time.monotonic()
    with _log_file(part).open("ab") as log:
        part.process = subprocess.Popen(
            part.arguments,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_own_group_that_dies_with_us,
        )


def _log_file(part: Part) -> Path:
    folder = settings.DATA_DIR / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{part.name.replace(' ', '-')}.log"


def _own_group_that_dies_with_us() -> None:
    """Ctrl-C reaches only the parent, who stops everybody in order; if the parent is killed, nobody survives it."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(parts: list[Part]) -> None:
    running = [part.process for part in parts if part.process and part.process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in running:
        # Whoever is late is killed below, with its children; a job it held is resumed at the next start.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
    for part in parts:
        if part.process:
            _kill_group(part.process.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _refuse_a_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} is taken. Choose another: make run PORT={port + 1}") from error


def _take_lock() -> Any:
    """Two instances on one data folder would share a database file and a broker folder by accident."""
    lock = (settings.DATA_DIR / "up.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CommandError(
            f"An instance is already running on {settings.DATA_DIR}. Stop it, or set TOUCHMARK_DATA to another folder."
        ) from error
    return lock
