"""Everything the product answers about the stored world, as texts to be compared: through pages, commands and services.

A text begins with the SHA-256 of the bytes as they were answered, which is what must not change; what follows is for
people who must find out what did: the same value, long lists of numbers cut short to their digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock

import typst
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from audits.models import Audit, AuditRow, Plan, RegisteredModel, Report
from audits.suspects.identity import Identity
from provenance.models import LogEntry, Organisation, User
from tests.audits.golden.internals import (
    ReportFacts,
    canonical_json,
    digest_of,
    full_result,
    logged_result,
    render_pdf,
    shuffled_result,
    visible_result,
)
from tests.audits.golden.steady import Steady

Answers = Iterator[tuple[str, str]]  # the name of a file, and what it should hold
PEOPLE = {"rosa": "rights-holder", "adam": "auditor", "lena": "legal", "gita": "guest"}
NO_TIME = timedelta()  # passes between answers, so that none depends on how many came before
FEW = 4  # numbers of a list that are written out
# Whom it makes a difference to ask; what each may see of a result is compared for all.
ASKED = ("rights-holder", "auditor", "guest")
# Reports whose PDF is laid out to its last byte, one of each kind: of the others, what typst is told is compared.
LAID_OUT = ("with references", "bans and classes", "plain marks stopped", "two sets")
# Runs whose report would only say again what another one of the same shape says.
UNREPORTED = (
    "bench evidence", "bench no evidence", "bench without secondary", "open series 1", "third version, plain marks",
    "one reference", "classes", "first version of Moor",
)  # fmt: skip


# Results whose pages are read, one of each kind; they take a second each.
PAGED = (
    "with references", "bans and classes", "plain marks stopped", "two sets", "first version, real",
    "third version, sets", "second version, plain marks", "third version, classes", "more than can be counted",
    "bench without soft",
)  # fmt: skip


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def shown(content: bytes) -> str:
    """The digest of some JSON, and the JSON for people, in its own order."""
    value = _short(json.loads(content))
    return f"sha256 {sha(content)}\n{json.dumps(value, indent=1, ensure_ascii=False)}\n"


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _short(part) for name, part in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) > FEW and all(isinstance(one, int | float | str) or _is_row(one) for one in value):
        first = ", ".join(json.dumps(one, ensure_ascii=False)[:24] for one in value[:2])
        return f"{len(value)}: {first} … sha256 {sha(json.dumps(value).encode())[:16]}"
    return [_short(one) for one in value]


def _is_row(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def named(audit: Audit) -> str:
    return slug(audit.plan.name)


def audits() -> list[Audit]:
    return list(Audit.objects.select_related("plan").order_by("created_at", "pk"))


def signed_in(*roles: str) -> dict[str, Client]:
    clients = {}
    for username, role in PEOPLE.items():
        if role not in roles:
            continue
        clients[role] = Client()
        clients[role].force_login(
            User.objects.get(username=username), backend="django.contrib.auth.backends.ModelBackend"
        )
    return clients


def per_person(clients: dict[str, Client], name: str, url: str, told: Any = None) -> Answers:
    """One file for all people who are answered the same; its name says who, and so who is not answered."""
    answers: dict[str, list[str]] = {}
    for role, client in clients.items():
        response = client.get(url)
        if response.status_code == HTTPStatus.OK:
            answers.setdefault(told(response) if told else shown(response.content), []).append(role)
    for text, roles in answers.items():
        yield f"{name}.{'+'.join(roles)}.txt", text


def results(clock: Steady) -> Answers:
    """What of every stored result may be seen by whom, and the digest of it that the log holds."""
    people = {role: User.objects.get(username=name) for name, role in PEOPLE.items()}
    lines = []
    for row in AuditRow.objects.select_related("audit__plan", "release__version__dataset").order_by("pk"):
        parts = {"full": full_result(row), "shown": shuffled_result(row), "logged": logged_result(row)}
        digests = {name: sha(canonical_json(part)) for name, part in parts.items()}
        logged = _logged(row)
        lines.append(f"{row.audit.plan.name}: {row.release.recipient}")
        lines += [f"  {name} {digest}" for name, digest in digests.items()]
        lines.append(f"  log {'none' if logged is None else 'the same' if logged == digests['logged'] else logged}")
        for role, person in people.items():
            seen = sha(canonical_json(visible_result(row, person)))
            lines.append(f"  {role} sees {next((n for n, digest in digests.items() if digest == seen), seen)}")
    yield "results.txt", "\n".join(lines) + "\n"


def _logged(row: AuditRow) -> str | None:
    entry = LogEntry.objects.filter(verb="audit.finished", subject_id=str(row.audit_id)).first()
    return entry.digests.get(f"result {row.release_id}") if entry else None


def audit_answers(clock: Steady) -> Answers:
    """result.json of every run, as each person is answered, byte for byte."""
    clients = signed_in(*ASKED)
    for audit in audits():
        yield from per_person(clients, f"audits/{named(audit)}", reverse("audit_json", args=[audit.pk]))


def pages(clock: Steady) -> Answers:
    """Tables and figures of one page of every kind of result, for every mark set, with the secret and without."""
    clients = signed_in("rights-holder", "auditor")
    for audit in audits():
        row = audit.rows.order_by("pk").first() if audit.plan.name in PAGED else None
        for number in range(1, len(row.result.get("sets", [0])) + 1) if row else ():
            url = f"{reverse('audit_detail', args=[audit.pk])}?release={row.release_id}&set={number}"
            yield from per_person(clients, f"pages/{named(audit)}-{number}", url, tables)
    compared = Audit.objects.filter(plan__name__in=PAGED[:6]).order_by("created_at", "pk")
    url = f"{reverse('audit_compare')}?{'&'.join(f'audit={audit.pk}' for audit in compared)}"
    yield from per_person({"rights-holder": clients["rights-holder"]}, "pages/compare", url, tables)


class _Tables(HTMLParser):
    """Rows of tables and data of figures, a line each."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.cells: list[str] = []
        self.figure = self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th", "caption"):
            self.inside = True
            self.cells.append("")
        self.figure = tag == "script" and ("type", "application/json") in attrs

    def handle_endtag(self, tag: str) -> None:
        if tag in ("tr", "caption") and self.cells:
            self.lines.append(" | ".join(" ".join(cell.split()) for cell in self.cells))
            self.cells = []
        self.inside = self.inside and tag not in ("td", "th", "caption")

    def handle_data(self, data: str) -> None:
        if self.figure:
            self.lines.append(f"figure {json.dumps(_short(json.loads(data)), ensure_ascii=False)}")
            self.figure = False
        elif self.inside:
            self.cells[-1] += data


def tables(response: Any) -> str:
    found = _Tables()
    found.feed(response.content.decode())
    return "\n".join(found.lines) + "\n"


def plans(clock: Steady) -> Answers:
    """Frozen texts: those that are stored, and those that a lock freezes now; each with its digest."""
    clients = signed_in(*ASKED)
    for plan in Plan.objects.order_by("created_at", "pk"):
        url, name = reverse("plan_json", args=[plan.pk]), f"plans/{slug(plan.name)}"
        if plan.is_locked:
            assert plan.digest == digest_of(plan.frozen)
            yield from per_person(clients, name, url)
            continue
        yield from per_person(clients, f"{name}-as-a-draft", url)
        with undone():
            forget_runs()
            identify_models()
            clock.step(f"lock {plan.name}", NO_TIME)
            keeper = clients["guest" if plan.created_by.username == "gita" else "auditor"]
            keeper.post(reverse("plan_lock", args=[plan.pk]))
            yield from per_person(clients, f"{name}-locked", url)


def forget_runs() -> None:
    """A closed plan cannot be locked beside runs that there were; what a lock freezes is told as if there were none."""
    for rows in (Report, AuditRow, Audit):
        rows.objects.all().delete()


def identify_models() -> None:
    """These models were tested before identities were taken, without which nothing is locked."""
    for model in RegisteredModel.objects.all():
        model.identity = Identity(model.sha256).to_json()
        model.save(update_fields=["identity"])


@contextmanager
def undone() -> Iterator[None]:
    """What happens inside leaves nothing behind in the database, so no answer depends on those before it."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def typesetter(lay_out: bool = True) -> Iterator[list[dict[str, Any]]]:
    """Notes what typst is asked to lay out; with lay_out=False it is asked for nothing but a page in its stead."""
    asked: list[dict[str, Any]] = []
    compile_ = typst.compile

    def noted(source: bytes, **more: Any) -> bytes:
        if "view" not in more.get("sys_inputs", {}):
            return compile_(source, **more)
        inputs = more["sys_inputs"]["view"]
        asked.append({"template": sha(source), "at": more["timestamp"], "standards": more["pdf_standards"]})
        asked[-1]["view"] = json.loads(inputs)
        return compile_(source if lay_out else b"", **({**more} if lay_out else {}))

    with mock.patch.object(typst, "compile", noted):
        yield asked


def command(name: str, *arguments: object) -> bytes:
    """The JSON that a command prints, or its refusal."""
    out = io.StringIO()
    with suppress(SystemExit):
        call_command(name, *map(str, arguments), "--json", stdout=out, stderr=io.StringIO())
    return out.getvalue().encode()


def reports(clock: Steady, folder: Path) -> Answers:
    """A report issued of finished runs of every shape: its facts, what typst is told, and the bytes of some PDFs."""
    for audit in audits():
        if audit.state != Audit.State.DONE or audit.plan.name in UNREPORTED:
            continue
        whole = audit.plan.name in LAID_OUT
        clock.step(f"another report of {audit.plan.name}", NO_TIME)
        with undone(), typesetter(whole) as asked:
            answer = json.loads(command("issue_report", audit.pk, "--as", "lena", "--here", "--out", folder))
        yield f"reports/{named(audit)}.facts.txt", shown(Path(answer["json"]).read_bytes())
        yield f"reports/{named(audit)}.document.txt", _document(asked, answer["pdf_sha256"] if whole else "")


def _document(asked: list[dict[str, Any]], pdf: str) -> str:
    (told,) = asked
    text = shown(json.dumps(told, ensure_ascii=False).encode())
    return f"pdf {pdf}\n{text}" if pdf else text


def stored_reports(clock: Steady) -> Answers:
    """Reports as earlier versions issued them: handed out unchanged, read again, written again, laid out again."""
    client = signed_in("legal")["legal"]
    for report in Report.objects.select_related("audit__plan").order_by("created_at"):
        name = f"stored-reports/{named(report.audit)}"
        content = client.get(reverse("report_json", args=[report.pk])).content
        assert sha(content) == report.json_sha256
        facts = ReportFacts.from_json(content)
        yield f"{name}.facts.txt", shown(facts.to_json())
        with typesetter() as asked:
            pdf = render_pdf(facts)
        yield f"{name}.document.txt", _document(asked, sha(pdf))


def commands(clock: Steady) -> Answers:
    """Logs with what reports published of them, forecasts, and suggested references."""
    for organisation in Organisation.objects.order_by("name"):
        with undone():
            answer = command("check_log", "--organisation", organisation.name)
            yield f"commands/check_log-{slug(organisation.name)}.txt", shown(answer)
    common = ("plan_audit", "--as", "adam", "--dataset", "Woods")
    for name, more in PLANNED.items():
        clock.step(f"command {name}", NO_TIME)
        with undone():
            identify_models()
            if name in FIRST_RUNS:
                forget_runs()
            yield f"commands/plan_audit-{name}.txt", shown(command(*common, *more))


FIRST_RUNS = ("plain", "sets")
PLANNED: dict[str, tuple[object, ...]] = {
    "again": ("--suspect", "trained", "--release", "North", "--level", "soft", "--probes", 20, "--alpha", 0.05),
    "plain": ("--suspect", "plainly", "--release", "West", "--probes", 20, "--decoys", 99, "--lock"),
    "sets": ("--suspect", "trained", "--release", "Both", "--probes", 20, "--also-primary", "soft", "--lock"),
    "open": ("--suspect", "plainly", "--release", "North", "--probes", 20, "--series-open"),
    "refused": ("--suspect", "trained", "--release", "North", "--probes", 20, "--series-open", "--lock"),
    "suggested": ("--suspect", "trained", "--release", "North", "--suggest-references"),
}
