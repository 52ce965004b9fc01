"""A real instance for tests: web server, workers and sweeper as processes of their own, on a backend of choice."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests import migrated

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = os.environ.get("TOUCHMARK_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("TOUCHMARK_TEST_REDIS", "redis://127.0.0.1:6379/15")

# What the test session itself was told about its database must not leak into instances.
_OUR_OWN = {"DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE", "TOUCHMARK_DATA"}


class Instance:
    """`manage.py up` in a folder of its own; `embedded` (SQLite, files) or `services` (PostgreSQL, Redis).

    empty: it finds no database and makes its own, as one with services always does.
    """

    def __init__(self, folder: Path, backend: str = "embedded", empty: bool = False, **environment: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = ""
        self.process: subprocess.Popen[str] | None = None
        self.commands: subprocess.Popen[str] | None = None  # see tests.command_server
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in _OUR_OWN},
            "TOUCHMARK_DATA": str(folder / "data"),
            "TOUCHMARK_SERVER_ROOTS": str(folder),
            "SITE_URL": self.url,
            "TOUCHMARK_JOB_HEARTBEAT_SECONDS": "0.5",
            "TOUCHMARK_JOB_LOST_SECONDS": "30",
            "TOUCHMARK_JOB_RESEND_SECONDS": "4",
            "TOUCHMARK_JOB_SWEEP_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        if backend == "services":
            require_services()
            self.database = f"touchmark_{uuid.uuid4().hex[:12]}"
            _on_postgres(f"CREATE DATABASE {self.database}")
            self.environment["DATABASE_URL"] = POSTGRES.rsplit("/", 1)[0] + f"/{self.database}"
            self.environment["CELERY_BROKER_URL"] = REDIS
            self.empty_broker()
        elif not empty:
            migrated.copy_to(folder / "data" / "touchmark.sqlite3")

    def start(self) -> "Instance":
        command = [sys.executable, "manage.py", "up", "--port", str(self.port)]
        log = (self.folder / "up.log").open("a")
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, text=True)
        wait_for(self._answers, 60, "the instance to answer")
        return self

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def remove(self) -> None:
        self.stop()
        if self.commands:
            self.commands.communicate(timeout=30)
        if self.database:
            _on_postgres(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
            self.empty_broker()

    def manage(self, *arguments: str, check: bool = True) -> dict[str, Any]:
        """Runs a command with --json and returns its answer; {"exit_code": …} is added."""
        code, out, errors = self._command(*arguments, "--json")
        if check and code:
            raise AssertionError(f"{' '.join(arguments)} ended with {code}:\n{out}\n{errors}")
        lines = out.strip().splitlines()
        return {**(json.loads(lines[-1]) if lines else {}), "exit_code": code}

    def python(self, source: str) -> str:
        """Runs source inside the instance's Django and returns what it prints."""
        code, out, errors = self._command("shell", "--no-imports", "-c", source)
        assert code == 0, errors
        return out.strip()

    def _command(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of manage.py."""
        if self.commands is None:
            command = [sys.executable, "-m", "tests.command_server"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.commands = subprocess.Popen(command, cwd=ROOT, env=self.environment, **pipes)
        self.commands.stdin.write(json.dumps(arguments) + "\n")
        self.commands.stdin.flush()
        code, out, errors = json.loads(self.commands.stdout.readline())
        return code, out, errors

    def family(self) -> list[psutil.Process]:
        """Every process that this instance started."""
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker_processes(self, queue: str) -> list[psutil.Process]:
        """The worker of this instance on one queue, and the children that work its jobs off."""
        assert self.process
        found = []
        for child in psutil.Process(self.process.pid).children():
            line = child.cmdline()
            if "-Q" in line and line[line.index("-Q") + 1] == queue:
                found += [child, *child.children(recursive=True)]
        return found

    def kill_worker(self, queue: str) -> None:
        """As an out-of-memory killer would: at once, without a word. `up` starts the worker again."""
        for process in self.worker_processes(queue):
            process.kill()

    def empty_broker(self) -> None:
        """Loses every message, as a broker without a disk does when it restarts."""
        if self.environment.get("CELERY_BROKER_URL", "").startswith("redis"):
            import redis

            redis.Redis.from_url(REDIS).flushdb()
        else:
            for message in (self.folder / "data" / "broker" / "messages").glob("*"):
                message.unlink(missing_ok=True)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Reads the instance's database directly, quickly enough to catch a job in the middle."""
        if self.database:
            import psycopg

            with psycopg.connect(self.environment["DATABASE_URL"], connect_timeout=5) as connection:
                return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]
        with sqlite3.connect(self.folder / "data" / "touchmark.sqlite3", timeout=30) as connection:
            return connection.execute(query).fetchall()

    def job(self, kind: str) -> dict[str, Any]:
        """The newest job of a kind, or {}."""
        names = ("state", "attempt", "reason", "detail", "phase", "progress_done", "progress_total")
        rows = self.rows(f"SELECT kind, {', '.join(names)} FROM provenance_job ORDER BY created_at DESC")  # noqa: S608
        rows = [row[1:] for row in rows if row[0] == kind]
        return dict(zip(names, rows[0], strict=True)) if rows else {}

    def add_member(self, username: str, *roles: str) -> str:
        """Adds a person to the instance's one organisation; returns the password."""
        flags = [word for role in roles for word in ("--role", role)]
        answer = self.manage("add_member", username, "--organisation", "Aster Archive", "--create", *flags)
        return str(answer["password"])

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.folder / "up.log").read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False


def require_services() -> None:
    """Skips where PostgreSQL or Redis is not there; in CI (TOUCHMARK_REQUIRE_SERVICES) that is a failure."""
    try:
        import redis

        redis.Redis.from_url(REDIS, socket_connect_timeout=2).ping()
        _on_postgres("SELECT 1")
    except Exception as error:
        if os.environ.get("TOUCHMARK_REQUIRE_SERVICES"):
            raise
        pytest.skip(f"PostgreSQL or Redis does not answer: {error}")


def require_chromium() -> str:
    """The path of the Chromium binary; its absence is a failure in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("TOUCHMARK_REQUIRE_SERVICES"):
            raise AssertionError("Chromium is not installed, and CI must not skip the browser tests.")
        pytest.skip("Chromium is not installed")
    return path


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # ended; whoever inherited it has not looked yet
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], seconds: float, what: str, pause: float = 0.2) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} seconds in vain for {what}"
        time.sleep(pause)


def _on_postgres(statement: str) -> None:
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True, connect_timeout=5) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
