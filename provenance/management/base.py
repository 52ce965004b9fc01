"""What all headless commands share: who acts, JSON or plain answers, exit codes, waiting for a job."""

import json
import sys
import time
from abc import ABC, abstractmethod
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.http import Http404

from provenance.errors import TouchmarkError
from provenance.models import Job, User
from provenance.services.jobs import worker

REFUSED = 1


class TouchmarkCommand(BaseCommand, ABC):
    """A command over the same services as the pages: 0 done, 1 refused or failed with a sentence, 2 wrong usage.

    Subclasses write `add_options` and `act`; `act` returns what is printed (as JSON with --json).
    """

    acts_for_a_person = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer with one JSON object on standard output")
        if self.acts_for_a_person:
            parser.add_argument("--as", dest="username", required=True, help="user name of the person who acts")
        self.add_options(parser)

    def add_options(self, parser: CommandParser) -> None:
        """The command's own arguments."""

    @abstractmethod
    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        """Does it, and returns the answer; "exit_code" in it is the command's own."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            answer = self.act(self._person(options), options)
        except TouchmarkError as error:
            self._refuse(error.sentence, options, error.detail)
        except (PermissionDenied, Http404) as error:
            self._refuse(str(error), options)
        except ValidationError as error:
            self._refuse(" ".join(error.messages), options)
        else:
            exit_code = int(answer.pop("exit_code", 0))
            self._print(answer, options)
            if exit_code:
                sys.exit(exit_code)

    def finish(self, job: Job, options: dict[str, Any]) -> None:
        """With --here works the job off in this process; with --wait waits for a worker. Raises if it ends badly."""
        if options.get("here"):
            worker.run(str(job.pk))
        elif not options.get("wait"):
            return
        shown = ""
        while True:
            job.refresh_from_db()
            if job.is_finished:
                break
            line = f"{job.get_state_display()} {job.phase} {job.percent if job.percent is not None else '–'} %"
            if line != shown:
                self.stderr.write(line)
                shown = line
            time.sleep(0.5)
        if job.state != Job.State.DONE:
            raise TouchmarkError(job.reason or f"The job ended as {job.state}.", job.detail)

    @staticmethod
    def add_waiting(parser: CommandParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--wait", action="store_true", help="wait until a worker has finished the job")
        group.add_argument("--here", action="store_true", help="work the job off in this process")

    def _person(self, options: dict[str, Any]) -> User:
        if not self.acts_for_a_person:
            return User()
        try:
            return User.objects.get(username=options["username"], is_active=True)
        except User.DoesNotExist as error:
            raise TouchmarkError(f"There is no active person with the user name “{options['username']}”.") from error

    def _refuse(self, sentence: str, options: dict[str, Any], detail: str = "") -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"error": sentence, "detail": detail}, ensure_ascii=False))
        self.stderr.write(self.style.ERROR(sentence))
        if detail and options["verbosity"] > 1:
            self.stderr.write(detail)
        sys.exit(REFUSED)

    def _print(self, answer: dict[str, Any], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(answer, ensure_ascii=False, default=str))
            return
        for name, value in answer.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {value}")
