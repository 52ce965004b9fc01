"""Results, plans and reports that were stored before stay what they are, byte for byte, in every answer about them.

`python -m tests.audits.golden.make expected` writes the answers anew; see there before doing so.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from provenance.models import Version
from tests.audits.golden import answers
from tests.audits.golden.make import FOLDER, UPDATE
from tests.audits.golden.steady import Steady, steady

pytestmark = pytest.mark.long

EXPECTED = FOLDER / "expected"
NOW = datetime(2026, 12, 24, 18, tzinfo=UTC)
MOST_LINES = 60


@pytest.fixture
def clock(db, settings) -> Iterator[Steady]:
    """The stored world, long after."""
    call_command("loaddata", FOLDER / "world.json", verbosity=0)
    shutil.copytree(FOLDER / "reports", settings.MEDIA_ROOT / "reports")
    Version.objects.update(compared_at=NOW)  # as if their manifests, which are not kept here, were on disk
    with steady(NOW) as held:
        yield held


def compare(part: str, found: dict[str, str]) -> None:
    """Against the files of one folder; where they are to be made anew, they are written instead."""
    stored = {
        str(path.relative_to(EXPECTED)): path
        for path in EXPECTED.rglob("*.txt")
        if path.relative_to(EXPECTED).parts[0] == part
    }
    if UPDATE in os.environ:
        for path in stored.values():
            path.unlink()
        for name, text in found.items():
            (EXPECTED / name).parent.mkdir(parents=True, exist_ok=True)
            (EXPECTED / name).write_text(text, encoding="utf-8")
        return
    assert sorted(found) == sorted(stored)
    lines = []
    for name, path in stored.items():
        before = path.read_text(encoding="utf-8")
        if before != found[name]:
            lines += difflib.unified_diff(before.splitlines(), found[name].splitlines(), f"stored {name}", "now", n=1)
    assert not lines, "\n".join([*lines[:MOST_LINES], f"… {max(len(lines) - MOST_LINES, 0)} lines more"])


@pytest.mark.parametrize(
    ("part", "answered"),
    [
        ("results.txt", answers.results),
        ("audits", answers.audit_answers),
        ("pages", answers.pages),
        ("plans", answers.plans),
        ("stored-reports", answers.stored_reports),
        ("commands", answers.commands),
    ],
)
def test_answers_stay_the_same(clock: Steady, part: str, answered: Callable[[Steady], answers.Answers]) -> None:
    compare(part, dict(answered(clock)))


def test_reports_that_are_issued_now_say_the_same(clock: Steady, tmp_path) -> None:
    compare("reports", dict(answers.reports(clock, tmp_path)))
