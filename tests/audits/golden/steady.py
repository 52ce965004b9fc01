"""Time, chance and the code's own version stand still, so that the same acts leave the same bytes."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest import mock

from django.utils import timezone

from audits.services.code_version import code_version

BEGIN = datetime(2026, 11, 1, 9, tzinfo=UTC)
CODE = "0.1.0 (sources 601de4601de4)"


class Steady:
    """What the clock shows and what the operating system's random bytes are, anew at every step of a story."""

    def __init__(self, begin: datetime = BEGIN) -> None:
        self.at = begin
        self.step("begin", timedelta())

    def step(self, name: str, after: timedelta = timedelta(hours=1)) -> None:
        self.at += after
        self._name, self._drawn = name, 0

    def now(self) -> datetime:
        return self.at

    def urandom(self, size: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(f"golden/{self._name}/{self._drawn}".encode()).digest(size)


@contextmanager
def steady(begin: datetime = BEGIN) -> Iterator[Steady]:
    """Keys, nonces, ids, orders and times follow from the names of steps; the code calls itself CODE."""
    held = Steady(begin)
    with (
        mock.patch.object(timezone, "now", held.now),
        mock.patch.object(os, "urandom", held.urandom),
        mock.patch.object(random, "_urandom", held.urandom),  # what `secrets` draws from
        fixed_code_version(),
    ):
        yield held


@contextmanager
def fixed_code_version() -> Iterator[None]:
    """In every module that knows the function, wherever it was imported to."""
    known = [
        (module, name)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith(("audits", "provenance", "tests"))
        for name, value in list(vars(module).items())
        if value is code_version and module is not sys.modules[__name__]
    ]
    for module, name in known:
        setattr(module, name, lambda: CODE)
    try:
        yield
    finally:
        for module, name in known:
            setattr(module, name, code_version)
