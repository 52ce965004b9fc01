"""Where answers are kept: a suspect's with its audit, a reference's for every audit that asks it the same.

Both are bound to question, device, libraries and computing code (docs/method.md, sections 6.4 and 6.6). Where the
shared folder lies, who may write and who deletes there: docs/architecture.md, "Kept answers".
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from audits.asking.measuring import Question
from audits.asking.view_questions import ViewQuestion
from audits.models import Audit, RegisteredModel
from audits.services.code_version import computing_digest
from audits.suspects import SuspectInfo
from provenance.canonical import canonical_json
from provenance.models import Release
from provenance.whole_files import write_whole

ABOUT = "about.json"


def runtime(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What computes a model's answers, from `SuspectInfo.to_json()` or from a stored connection test."""
    return {name: facts.get(name) for name in ("device", "versions")}


@dataclass(frozen=True)
class Asking:
    """What, beside the release, decides which question a reference is asked and what answers it.

    All of it is known before the run, but `runtime`: a forecast takes that from the last connection test.
    """

    model: RegisteredModel
    set_number: int  # of the mark set, from 0
    probes: int
    group_images: int  # per group
    runtime: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "sha256": self.model.sha256,
            "spec": self.model.spec,
            "set": self.set_number,
            "probes": self.probes,
            "group_images": self.group_images,
            "runtime": dict(self.runtime),
            "code": computing_digest(),
        }


def answers_folder(
    audit: Audit,
    release: Release,
    model: RegisteredModel,
    question: Question | ViewQuestion,
    info: SuspectInfo,
    set_number: int = 0,
) -> Path:
    """The folder for `measure`: shared for a reference about associated marks, else the audit's own.

    info: of the open model that will answer; set_number: which of the release's mark sets the question is about,
    from 0.
    """
    # Plain marks share nothing: decoys follow from the audit's nonce, so only the clean probes and the true key would
    # be the same in two audits, two of some two hundred keys. Neither do views, which follow from the plan's digest.
    is_shared = isinstance(question, Question) and len(question.group_images) > 0
    if model.pk == audit.plan.suspect_id or not is_shared:
        own = own_folder(audit, info, str(release.pk), str(model.pk))
        return own / f"set-{set_number + 1}" if set_number else own
    asking = Asking(model, set_number, audit.plan.probes, audit.plan.group_images, runtime(info.to_json()))
    name = hashlib.sha256(question.digest.encode() + canonical_json(asking.to_dict())).hexdigest()
    folder = shared_folder(release) / name
    _note_use(folder / ABOUT, release, json.dumps(asking.to_dict()))
    return folder


def own_folder(audit: Audit, info: SuspectInfo, *names: str) -> Path:
    """Of the audit's own answers, below these names, the folder of what this device and this code answer.

    Answers of others below the same names are deleted: nobody will read them again.
    """
    folder = audit.folder.joinpath("answers", *names)
    made_by = {"runtime": runtime(info.to_json()), "code": computing_digest()}
    name = hashlib.sha256(canonical_json(made_by)).hexdigest()[:16]
    for path in folder.iterdir() if folder.exists() else ():
        if path.name != name and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != name:
            path.unlink(missing_ok=True)
    return folder / name


@transaction.atomic
def _note_use(about: Path, release: Release, text: str) -> None:
    """Under a lock on the release's row, so that the folder is not swept from now on: see `sweep`."""
    Release.objects.select_for_update().get(pk=release.pk)
    about.parent.mkdir(parents=True, exist_ok=True)
    write_whole(about, lambda path: path.write_text(text))


def root_folder() -> Path:
    """Shared answers about all releases, in a folder for each."""
    return Path(settings.FILES_DIR) / "reference_answers"


def shared_folder(release: Release) -> Path:
    """Answers of all references about one release."""
    return root_folder() / str(release.pk)


def answered_before(release: Release, asking: Asking) -> int:
    """How many images this reference has answered already about this release, by earlier audits or a running one."""
    wanted = canonical_json(asking.to_dict())
    for about in shared_folder(release).glob(f"*/{ABOUT}"):
        # Swept, or sorted by a running audit, this very moment; or unreadable, which `sweep` logs.
        with contextlib.suppress(FileNotFoundError, ValueError):
            if canonical_json(json.loads(about.read_text())) == wanted:
                return _answered_images(about.parent)
    return 0


def _answered_images(folder: Path) -> int:
    """From the notes of finished blocks, each of which says how many images it answered."""
    return sum(int(note.read_text() or 0) for note in folder.glob("*.done"))
