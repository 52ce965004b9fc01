"""Asking models during an audit: where answers are kept, how many there are to come, and what it took."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from django.utils import timezone

from audits.asking.measuring import Answers, Question, already_answered, measure
from audits.asking.view_questions import ViewQuestion
from audits.models import Audit, RegisteredModel
from audits.services.answers.kept import answers_folder
from audits.services.models.opening import sandboxed
from provenance.models import Release
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:
    from audits.suspects import SandboxedModel


class Chosen(Protocol):
    """One mark set of one release. number: of the set, from 0; name: among all sets of all releases."""

    release: Release
    number: int

    @property
    def name(self) -> str: ...


class Asked:
    """Answers of every model about every mark set, and what it took to get them.

    total: how many images there are to ask about at most; done: how many were.
    """

    def __init__(self, run: JobRun, audit: Audit, total: int) -> None:
        self.run, self.audit, self.total, self.done = run, audit, total, 0
        self._answers: dict[tuple[str, str], Answers] = {}
        self._spent: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}

    def of(self, chosen: Chosen, model: RegisteredModel) -> Answers:
        return self._answers[chosen.name, str(model.pk)]

    def size_of(self, model: RegisteredModel) -> int:
        """Side of the input of a model that was asked, in pixels."""
        return self._sizes[str(model.pk)]

    @contextmanager
    def opened(self, model: RegisteredModel) -> "Iterator[SandboxedModel]":
        self.run.progress(self.done, self.total, f"opening {model.name}")
        with sandboxed(model) as session:
            self._sizes[str(model.pk)] = session.info.input_shape[1]
            yield session

    def ask(
        self,
        chosen: Chosen,
        model: RegisteredModel,
        question: Question | ViewQuestion,
        session: "SandboxedModel",
        patterns: range | None = None,
    ) -> Answers:
        """Asks what is not answered yet, or of it these patterns only; returns all answers."""
        begun = monotonic()
        folder = answers_folder(self.audit, chosen.release, model, question, session.info, chosen.number)
        spent = self._spent_by(model, session.info.device)
        self._note_first_question(model)
        spent["answered_before"] += already_answered(question, folder, patterns)

        def count(images: int) -> None:
            self.done += images
            spent["forward_passes"] += images
            self.run.progress(self.done, self.total, f"asking {model.name}")

        answers = measure(question, folder, session, count, patterns)
        spent["seconds"] = round(spent["seconds"] + monotonic() - begun, 2)
        self._answers[chosen.name, str(model.pk)] = answers
        return answers

    def _note_first_question(self, model: RegisteredModel) -> None:
        """In the database before the suspect hears it: however this run ends, it counts from now on."""
        if model.pk == self.audit.plan.suspect_id and self.audit.asked_at is None:
            self.audit.asked_at = timezone.now()
            Audit.objects.filter(pk=self.audit.pk, asked_at=None).update(asked_at=self.audit.asked_at)

    def facts(self) -> dict[str, Any]:
        """For the audit's page: all passes that the results rest on, those that were answered before among them.

        Answered before: by an earlier audit that asked a reference the same, or by an earlier attempt at this one.
        """
        models = list(self._spent.values())
        before = sum(model["answered_before"] for model in models)
        return {"forward_passes": self.done, "answered_before": before, "models": models}

    def _spent_by(self, model: RegisteredModel, device: str) -> dict[str, Any]:
        empty = {"name": model.name, "role": model.role, "device": device, "forward_passes": 0, "answered_before": 0}
        return self._spent.setdefault(str(model.pk), {**empty, "seconds": 0.0})
