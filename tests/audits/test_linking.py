"""Whoever may not see the assignment cannot tell which pattern of one run is which of another."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from audits.judging import codec
from audits.judging.assignments import Secrets, judge_level
from audits.judging.disclosure import as_logged, withheld
from audits.judging.result import AssociatedResult, Shuffle
from audits.models import Audit, AuditRow, Plan
from audits.services.plans.frozen import digest_of, frozen_text
from audits.services.plans.locking import record
from audits.services.plans.values import values_of
from audits.services.reports import issuing
from audits.services.results.verdicts import rules_of, store
from audits.statistics.density import LEVELS
from provenance.models import Job, LogEntry, User
from tests.audits.builders_reports import GROUPS, assignment, associated_result, level_scores, started_audit
from tests.audits.golden.steady import steady

pytestmark = [pytest.mark.django_db, pytest.mark.long]

MODELS = [{"name": "suspect-1", "role": "suspect", "device": "cpu", "forward_passes": 10, "seconds": 1.0}]
ORDERS = ((3, 1, 0, 2, 5, 4), (2, 5, 4, 0, 1, 3))  # of two runs of earlier versions
SCORES = ("gain", "divergence", "displacement", "coherence", "pull")


def run_again(audit: Audit) -> Audit:
    """Another run of the same suspect against the same releases, under a plan of its own."""
    plan = Plan.objects.get(pk=audit.plan_id)
    releases, references = list(plan.releases.all()), list(plan.references.all())
    plan.pk, plan._state.adding, plan.name = uuid.uuid4(), True, "Once more"
    plan.save()
    plan.releases.set(releases)
    plan.references.set(references)
    plan.frozen = frozen_text(plan, values_of(plan))
    plan.digest = digest_of(plan.frozen)
    plan.save()
    again = Audit.objects.create(plan=plan, created_by=audit.created_by)
    again.job = Job.objects.create(kind="audit.run", queue="gpu", organisation=plan.organisation, state="done")
    record(plan, "plan.locked", by=plan.locked_by, digests={"plan": plan.digest})
    record(plan, "audit.started", by=None, subject=again)
    return again


def conclude(audit: Audit, order: tuple[int, ...] | None) -> AuditRow:
    """The same answers in every run; order: as an earlier version drew one for auditors."""
    plan, made = audit.plan, audit.plan.releases.get()
    levels = {
        level: judge_level(level, level_scores(seed, 0.2), {}, Secrets(assignment()), rules_of(plan), str(made.pk))
        for seed, level in enumerate(LEVELS)
    }
    result = replace(associated_result(plan.level, levels, "ab" * 32), shuffle=Shuffle(order) if order else None)
    store(audit, [(made, result)], {"forward_passes": 10, "models": MODELS})
    return audit.rows.get()


@pytest.fixture(params=[ORDERS, (None, None), (ORDERS[0], None)], ids=["earlier versions", "today", "one of each"])
def rows(world, request) -> list[AuditRow]:
    first = started_audit(world, world.auditor, ("Northgate",))
    first.plan.references.clear()
    runs = [first, run_again(first)]
    return [conclude(audit, order) for audit, order in zip(runs, request.param, strict=True)]


def fetched(row: AuditRow, browser: Any, reports: tuple[bytes, str]) -> tuple[list[Any], str]:
    """Everything that somebody can fetch about a run: JSON values, and texts."""
    audit, owner = row.audit, row.release.version.dataset.organisation
    url = reverse("audit_detail", args=[audit.pk])
    texts = [browser.get(url, {"level": level}).content.decode() for level in LEVELS]
    about = [reverse("log_list"), url, reverse("plan_detail", args=[audit.plan_id])]
    about += [
        reverse("log_entry", kwargs={"organisation": owner.pk, "seq": entry.seq})
        for entry in LogEntry.objects.filter(organisation=owner)
    ]
    texts += [browser.get(place).content.decode() for place in about]
    values = [browser.get(reverse("audit_json", args=[audit.pk])).json(), json.loads(reports[0])]
    figures = [
        json.loads(text)
        for page in texts
        for text in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)
    ]
    return values + figures, "\n".join([*texts, *map(json.dumps, values), reports[1]])


def reported(row: AuditRow, world, capture) -> tuple[bytes, str]:
    with capture(execute=True):
        report = issuing.issue(row.audit, by=world.legal)
    report.refresh_from_db()
    with report.json.open("rb") as data, report.pdf.open("rb") as pdf:
        pages = PdfReader(io.BytesIO(pdf.read())).pages
        return data.read(), "\n".join(page.extract_text() for page in pages)


def series_in(value: Any) -> Iterator[tuple[Any, ...]]:
    """Every row of one value per pattern, however it is kept: lists, columns of lists, and one key of many objects."""
    if isinstance(value, dict):
        for item in value.values():
            yield from series_in(item)
    if not isinstance(value, list):
        return
    for item in value:
        yield from series_in(item)
    columns = [value]
    if all(isinstance(item, dict) for item in value) and value:
        columns = [[item.get(key) for item in value] for key in value[0]]
    elif all(isinstance(item, list) for item in value):
        columns = list(zip(*value, strict=False))
    for column in columns:  # a mean may stand below; longer lists are histograms, which name no pattern
        part = tuple(column[: len(GROUPS)])
        if len(GROUPS) == len(part) >= len(column) - 1 and all(isinstance(one, int | float) for one in part):
            yield part


def links(one: list[Any], other: list[Any]) -> set[tuple[int, ...]]:
    """Ways to match patterns of two runs: rows of six different numbers that are the same ones in some order."""
    known = {frozenset(row): row for value in one for row in series_in(value) if len(set(row)) == len(GROUPS)}
    rows = [row for value in other for row in series_in(value) if frozenset(row) in known]
    return {tuple(known[frozenset(row)].index(number) for number in row) for row in rows}


def single_scores(row: AuditRow) -> set[str]:
    """Ways in which a score of a single pattern could be written down so that it is known again."""
    levels = row.found.scored.values()
    found = [getattr(scores, name) for level in levels for scores in level.densities for name in SCORES]
    return {text for value in found for text in (repr(value), f"{value:.7f}", f"{value:.6g}", f"{value:.5g}")}


def told_in(text: str, numbers: set[str]) -> set[str]:
    return numbers & set(re.findall(r"[-−]?\d[\d.,]*(?:e-?\d+)?", text))


def test_no_pattern_of_one_run_can_be_found_in_another(world, rows, sign_in, django_capture_on_commit_callbacks):
    reports = [reported(row, world, django_capture_on_commit_callbacks) for row in rows]

    def seen_by(person: User) -> list[tuple[list[Any], str]]:
        browser = sign_in(person)
        return [fetched(row, browser, report) for row, report in zip(rows, reports, strict=True)]

    scores = single_scores(rows[0])
    auditor, owner = seen_by(world.auditor), seen_by(world.rights_holder)
    assert links(owner[0][0], owner[1][0])  # what is looked for is there, for those who may see it
    assert told_in(owner[0][1], scores)
    for person in (auditor, seen_by(world.legal)):
        assert not links(person[0][0], person[1][0])
        assert not told_in(person[0][1] + person[1][1], scores)
        for _, text in person:
            assert "Pattern A" not in text
            (table,) = set(re.findall(r"How patterns change the outputs.*?<tbody>(.*?)</tbody>", text, re.S)[:1])
            assert (table.count("<tr"), "Mean" in table) == (1, True)


def numbered(audit: Audit, numbers: list[int]) -> AssociatedResult:
    """What is found where pattern `numbers[j]` of the first key is number j: other letters for the same patterns."""
    plan, made, keys = audit.plan, audit.plan.releases.get(), Secrets(assignment()[numbers])
    levels = {}
    for seed, level in enumerate(LEVELS):
        scores = level_scores(seed, 0.2)
        densities = tuple(scores.densities[number] for number in numbers)
        again = replace(scores, pulls=scores.pulls[numbers], densities=densities)
        levels[level] = judge_level(level, again, {}, keys, rules_of(plan), str(made.pk))
    found = replace(associated_result(plan.level, levels, "ab" * 32), shuffle=None)
    return replace(found, assignment=tuple(keys.assignment.tolist()))


def bare(text: str) -> str:
    """A page without what is drawn anew at every look."""
    return re.sub(r'(csrfmiddlewaretoken" value|X-CSRFToken[^:]*:)[^>]*', "", text)


def told(audit: Audit, numbers: list[int], people: list[Any], world, capture) -> list[str]:
    """Everything that each of these people can fetch about a run, as if it had been stored with these numbers."""
    release = audit.plan.releases.get()
    with transaction.atomic():
        audit.refresh_from_db()
        store(audit, [(release, numbered(audit, numbers))], {"forward_passes": 10, "models": MODELS})
        row = audit.rows.get()
        report = reported(row, world, capture)
        seen = [bare(fetched(row, browser, report)[1]) for browser in people]
        transaction.set_rollback(True)
    return seen


def test_nothing_that_an_auditor_can_fetch_depends_on_which_pattern_is_which(
    world, sign_in, django_capture_on_commit_callbacks
):
    """So whoever guesses which pattern of one run is which of another is right as often as by chance, whatever they
    compare: the same bytes stand there for every way to number the patterns."""
    audit = started_audit(world, world.auditor, ("Northgate",))
    audit.plan.references.clear()
    people = [sign_in(person) for person in (world.auditor, world.rights_holder)]
    rng, ways = np.random.default_rng(5), [list(range(len(GROUPS)))]
    ways += [rng.permutation(len(GROUPS)).tolist() for _ in range(2)]
    with steady(timezone.now()) as clock:
        seen_by_way = []
        for numbers in ways:
            clock.step("run", timedelta())
            seen_by_way.append(told(audit, numbers, people, world, django_capture_on_commit_callbacks))
    first, *others = seen_by_way
    for seen in others:
        lines = zip(first[0].splitlines(), seen[0].splitlines(), strict=True)
        assert [pair for pair in lines if pair[0] != pair[1]] == []
        assert seen[1] != first[1]  # the owner, who may, sees which is which


def test_what_was_logged_is_the_digest_of_what_was_shown_then(rows):
    """Of a result of an earlier version that is every single pattern in its shuffled order, of today's the means."""
    for row in rows:
        entry = LogEntry.objects.get(verb="audit.finished", subject_id=str(row.audit_id))
        shown = as_logged(row.found)
        assert entry.digests[f"result {row.release_id}"] == digest_of(codec.write(shown))
        if row.found.shuffle is None:
            assert shown == withheld(row.found)
        else:
            gains = [row.found.levels["soft"].densities[place].gain for place in row.found.shuffle.patterns]
            assert [scores.gain for scores in shown.levels["soft"].densities] == gains
