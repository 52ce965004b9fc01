"""An SQLite database with every migration in it, made once in a run of the tests and copied for whoever needs one."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.environment import RUN

ROOT = Path(__file__).resolve().parents[1]


def copy_to(place: Path) -> None:
    """A database as `manage.py migrate` leaves it, at `place`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_made_once(), place)


def _made_once() -> Path:
    """By the first process of this run that asks; the others wait for it."""
    folder = RUN / "migrated"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "touchmark.sqlite3"
        if not made.exists():
            environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
            environment["TOUCHMARK_DATA"] = str(folder / "draft")
            command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
            (folder / "draft" / made.name).rename(made)
    return made
