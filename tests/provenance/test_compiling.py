"""Machine code: where it is kept, and that nobody waits for it who needs none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
MARKS = """
import re
import numpy as np
from provenance.marks import MarkSettings, family_for, mixing, moving
pixels = np.full((40, 40, 3), 90, np.uint8)
for name, side, channels in ({}):
    family = family_for(MarkSettings(family=name, association="plain"))
    _, _, *size = family.region(40, 40, (0.0, 0.0))
    under = pixels[: size[0], : size[1]]
    family.mix(under, np.zeros((side, side, channels), np.uint8), (0.0, 0.0), out=np.empty(under.shape, np.uint8))
loops = (mixing.cover, mixing.add_field, moving.move)
print(sum(sum(loop.stats.cache_hits.values()) for loop in loops), mixing.cover.stats.cache_path)
"""
ALL = MARKS.format('("patch", 4, 3), ("blend", 32, 3), ("warp", 32, 2)')
CODE = """
text = "\\n".join(text for loop in loops for text in loop.inspect_asm().values())
for kind in ("v?mul|fmul", "v?fn?m(add|sub|la|ls)"):
    print(len(re.findall(rf"^\\s+(?:{kind})", text, re.M)))
"""


def run(code: str, **changes: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **changes}, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    """And no product and sum became one: that rounds once instead of twice, on the processors that have it."""
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    hits, place, products, fused = run(ALL + CODE, **kept).split()
    assert Path(place).is_relative_to(tmp_path)
    assert (int(hits), int(fused)) == (0, 0)
    assert int(products) > 10
    assert run(ALL, **kept).split() == ["3", place]


def test_marking_works_where_no_folder_can_be_written():
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "NUMBA_CACHE_DIR": ""}
    assert run(MARKS.format('("patch", 4, 3),'), **nowhere).split() == ["0", "None"]


# The web process, workers before a job, a command's help, and the two children that strangers' data goes into.
WITHOUT = (
    "config.urls",
    "provenance.tasks",
    "audits.tasks",
    "provenance.management.commands.make_release",
    "audits.suspects.sandbox",
    "provenance.intake.decoding",
)


def test_pages_help_and_confined_processes_do_not_load_the_compiler():
    lines = ["import django, importlib, sys", "django.setup()", f"for name in {WITHOUT}:"]
    lines += ["    importlib.import_module(name)", "    print(name, *{'numba', 'llvmlite'} & sys.modules.keys())"]
    found = run("\n".join(lines), DJANGO_SETTINGS_MODULE="config.settings")
    assert found.split() == list(WITHOUT)
