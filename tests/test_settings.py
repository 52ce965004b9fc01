"""Settings that a slip of the pen must not turn into something else."""

import os
import subprocess
import sys

from tests.live import ROOT


def test_an_unknown_key_provider_is_refused(tmp_path):
    environment = {**os.environ, "TOUCHMARK_DATA": str(tmp_path), "TOUCHMARK_KEY_PROVIDER": "enviroment"}
    command = [sys.executable, "manage.py", "check"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "TOUCHMARK_KEY_PROVIDER is “file” or “environment”" in refused.stderr


LOADED = """
import os, sys
import django
django.setup()
print(os.environ["OMP_WAIT_POLICY"], *(name for name in ("torch", "sklearn", "numba") if name in sys.modules))
"""


def test_nothing_that_could_spin_is_loaded_before_it_is_told():
    """Threads of OpenMP that spin while they wait for each other make a busy machine ten times slower."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    environment.pop("OMP_WAIT_POLICY", None)
    told = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.stdout.split() == ["PASSIVE"], told.stderr
