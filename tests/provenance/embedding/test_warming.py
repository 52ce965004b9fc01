"""After warming, marking compiles nothing any more: a container's first image waits for no compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MARK = """
from numba.core import event
from provenance.embedding import warming
with event.install_recorder("numba:compile") as seen:
    warming.warm()
print(len(seen.buffer))
"""


@pytest.mark.slow
def test_nothing_is_left_to_compile(tmp_path):
    compiled = []
    for _ in range(2):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-c", MARK]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        compiled.append(int(done.stdout))
    assert compiled[0] > 0
    assert compiled[1] == 0
