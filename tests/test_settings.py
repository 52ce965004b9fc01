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
