"""A private, throw-away data folder for every test session; loaded before Django reads its settings."""

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="touchmark-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

os.environ["TOUCHMARK_DATA"] = _folder
os.environ["TOUCHMARK_LOOPBACK_HTTP"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
