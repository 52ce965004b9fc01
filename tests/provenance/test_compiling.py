"""Machine code: where it is kept, and that nobody waits for it who needs none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MARKS = """
import numpy as np
from provenance.marks import MarkSettings, family_for
family = family_for(MarkSettings(groups=("a", "b")))
pixels = np.full((16, 16, 3), 90, np.uint8)
family.mix(pixels, np.zeros((4, 4, 3), np.uint8), (0.0, 0.0), out=np.empty_like(pixels))
from provenance.marks import mixing
print(sum(mixing.cover.stats.cache_hits.values()), mixing.cover.stats.cache_path)
"""


def run(code: str, **changes: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **changes}, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    first, second = (run(MARKS, NUMBA_CACHE_DIR=str(tmp_path)).split() for _ in range(2))
    assert (first[0], second[0]) == ("0", "1")
    assert Path(second[1]).is_relative_to(tmp_path)


def test_marking_works_where_no_folder_can_be_written(tmp_path):
    missing = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": ""}
    assert run(MARKS, **missing).split() == ["0", "None"]


@pytest.mark.parametrize(
    "module",
    [
        "config.urls",
        "provenance.tasks",
        "audits.tasks",
        "provenance.management.commands.make_release",
        "audits.suspects.sandbox",
        "provenance.intake.decoding",
    ],
)
def test_pages_help_and_confined_processes_do_not_load_the_compiler(module):
    code = f"import django, sys; django.setup(); import {module}; print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    assert run(code, DJANGO_SETTINGS_MODULE="config.settings").split() == ["False", "False"]
