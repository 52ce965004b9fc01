"""A private, throw-away data folder for every test process; loaded before Django reads its settings."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Set by pytest-xdist in its workers; each works in a folder of its own inside that of the process that started it.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def _folder() -> Path:
    if WORKER:
        folder = Path(os.environ["TOUCHMARK_DATA"]) / WORKER
        folder.mkdir()
        return folder
    folder = Path(tempfile.mkdtemp(prefix="touchmark-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


DATA = _folder()
RUN = DATA.parent if WORKER else DATA  # what the processes of one run share
os.environ["TOUCHMARK_DATA"] = str(DATA)
os.environ["TOUCHMARK_LOOPBACK_HTTP"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
