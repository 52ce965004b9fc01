"""What counts runs and compares models and versions, on PostgreSQL: other tests do that on SQLite, which forgives a
GROUP BY that names too few columns and lets one transaction write at a time."""

import os
import subprocess
import sys

import pytest

from tests.live import POSTGRES, ROOT, require_services

FILES = (
    "tests/audits/test_recognising.py",
    "tests/audits/test_repeated_runs.py",
    "tests/audits/test_strangers.py",
    "tests/provenance/test_overlaps.py",
)
TOLD_OF_THIS_SESSION = ("PYTEST_", "TOUCHMARK_DATA")


@pytest.mark.services
@pytest.mark.long
@pytest.mark.parametrize("file", FILES)
def test_on_postgres(file):
    require_services()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(TOLD_OF_THIS_SESSION)}
    # pytest-django makes a database of its own beside the one that is named, and drops it.
    name = f"touchmark_{os.getpid()}"
    environment = {**kept, "DATABASE_URL": POSTGRES.rsplit("/", 1)[0] + f"/{name}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=290)
    assert ended.returncode == 0, ended.stdout[-8000:]
