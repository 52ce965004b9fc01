"""Removes shared answers of references that no audit can use any more, and those that none has used for long.

Never while an audit of the release waits or runs (docs/architecture.md, "Kept answers").
"""

import contextlib
import json
import logging
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audits.models import Audit, RegisteredModel
from audits.services.answers.kept import ABOUT, root_folder
from audits.services.code_version import computing_digest
from provenance.models import Job, Release

logger = logging.getLogger(__name__)

SWEPT = "swept"  # below the root folder: what was taken away and is about to be deleted


def sweep_answers() -> int:
    """Returns how many folders of answers it removed. Safe to run anywhere, any number of times."""
    swept = root_folder() / SWEPT
    swept.mkdir(parents=True, exist_ok=True)
    removed = 0
    for folder in sorted(root_folder().glob("*-*-*-*-*")):  # named by their releases
        try:
            taken = _taken_away(folder, swept)
        except FileNotFoundError:  # another sweep is at it
            continue
        except Exception:  # whatever is wrong with one folder: the others are swept
            logger.exception("answers of a reference cannot be swept: %s", folder)
            continue
        for answers, reason in taken:
            logger.info("answers of a reference are removed, %s: release %s, %s", reason, folder.name, answers)
        removed += len(taken)
    for gone in swept.iterdir():  # outside the lock, with what a killed sweep left
        _delete(gone)
    return removed


def _delete(gone: Path) -> None:
    """What cannot be deleted now is tried again by the next sweep."""
    if gone.is_dir() and not gone.is_symlink():
        shutil.rmtree(gone, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            gone.unlink()


@transaction.atomic
def _taken_away(folder: Path, swept: Path) -> list[tuple[str, str]]:
    """Moves what may go out of a release's folder, which is quick; (name, reason) of each."""
    pk = UUID(folder.name)
    # `answers_folder` notes every use under the same lock, while its audit's job runs already: whichever of the two
    # comes first, an audit that has its folder keeps it.
    release = Release.objects.ready().select_for_update().filter(pk=pk).first()
    if Audit.objects.filter(plan__releases=pk, job__in=Job.objects.unfinished()).exists():
        return []
    found = list(_unused(folder, release))
    for answers, _ in found:
        (folder / answers).rename(swept / secrets.token_hex(8))
    if not any(folder.iterdir()):
        folder.rmdir()
    return found


def _unused(folder: Path, release: Release | None) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.iterdir()):
        if reason := "whose release is gone" if release is None else _why_unused(path / ABOUT):
            yield path.name, reason


def _why_unused(about: Path) -> str:
    """Why nobody will read these answers again; empty where somebody may."""
    if not about.exists():
        return "which were never begun"
    asking: dict[str, Any] = json.loads(about.read_text())
    if asking.get("code") != computing_digest():
        return "which another version of the code asked for"
    alike = RegisteredModel.objects.references().filter(sha256=asking["sha256"])
    if not any(model.spec == asking["spec"] for model in alike):
        return "whose model is gone or is run in another way now"
    used = datetime.fromtimestamp(about.stat().st_mtime, tz=timezone.get_current_timezone())
    if used < timezone.now() - timedelta(days=settings.REFERENCE_ANSWERS_DAYS):
        return f"unused for {settings.REFERENCE_ANSWERS_DAYS} days"
    return ""
