"""The part of an audit's run that asks about plain marks: the true key among its decoys, look by look.

Every model is asked about all keys of a look before the test looks; it ends when each level's own stop says so.
Answers are kept per block, and the decoys follow from the plan's digest and the audit's nonce, so another attempt
takes the same looks in the same order. Secrets exist inside the job only.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from audits.density import DegenerateAnswersError, DensityScores, Level
from audits.judging import Rules
from audits.measuring import KEY, WRONG, Answers, Marks, Question, measure
from audits.models import Audit, RegisteredModel
from audits.probe_images import load_images_once
from audits.rank_judging import KeyScores, LevelTests, judge_ranks, rank_level
from audits.ranktest import decoy_key
from audits.scoring import available_levels, score_keys
from audits.services.frozen_plans import stopping_rule
from audits.services.model_files import sandboxed
from audits.services.plans import PlanError
from provenance.canonical import canonical_json
from provenance.marks import MarkSecret
from provenance.services.jobs import JobRun

if TYPE_CHECKING:
    from audits.services.audit_run import Drawn
    from audits.suspects import SandboxedModel


@dataclass
class AskedKeys:
    """What one model is asked about one release, and the scores that its answers gave so far."""

    model: RegisteredModel
    question: Question
    session: SandboxedModel
    scores: dict[Level, list[DensityScores]] = field(default_factory=dict)
    wrong: dict[Level, DensityScores] = field(default_factory=dict)
    missing: dict[Level, int] = field(default_factory=dict)
    reasons: dict[Level, str] = field(default_factory=dict)

    def score(self, answers: Answers, keys: range) -> None:
        """Scores the keys that were asked last; a level that cannot be scored says why."""
        for level in available_levels(answers):
            if level in self.reasons:
                continue
            try:
                scores, missing = score_keys(answers, level, KEY, keys)
                if 0 in keys and self.question.wrong_marks is not None:
                    self.wrong[level] = score_keys(answers, level, WRONG, range(1))[0][0]
            except DegenerateAnswersError as error:
                self.reasons[level] = error.sentence
                continue
            self.scores.setdefault(level, []).extend(scores)
            self.missing[level] = self.missing.get(level, 0) + missing

    def of_level(self, level: Level) -> KeyScores:
        return KeyScores(tuple(self.scores[level]), self.wrong.get(level), self.missing[level])


def ask_and_judge(
    run: JobRun, audit: Audit, models: list[RegisteredModel], drawn: list[Drawn], rules: Rules
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The result of every release, and what it took. models: the suspect first."""
    count = _Progress(run, most_passes(audit, drawn, len(models)))
    results = []
    with ExitStack() as stack:
        sessions = []
        for model in models:
            run.progress(count.done, count.total, f"opening {model.name}")
            sessions.append(stack.enter_context(sandboxed(model)))
        for d in drawn:
            patterns = _patterns(audit, d, run)
            asked = [
                AskedKeys(model, _question(audit, d, model, session.info.input_shape[1], patterns, run), session)
                for model, session in zip(models, sessions, strict=True)
            ]
            results.append(_until_the_stop(run, audit, d, asked, rules, count))
        facts = [count.facts_of(model, session.info.device) for model, session in zip(models, sessions, strict=True)]
    return results, {"forward_passes": count.done, "models": facts}


def most_passes(audit: Audit, drawn: list[Drawn], models: int) -> int:
    """Forward passes where nothing stops early: clean probes, the true key and all decoys, and the wrong key once."""
    plan = audit.plan
    controls = sum(1 for d in drawn if d.wrong)
    return plan.probes * ((plan.decoys + 2) * models * len(drawn) + controls)


class _Progress:
    """Counts what was asked, per model, and shows it on the job."""

    def __init__(self, run: JobRun, total: int) -> None:
        self.run, self.total, self.done = run, total, 0
        self._passes: dict[str, int] = {}
        self._seconds: dict[str, float] = {}

    def asked(self, model: RegisteredModel, images: int) -> None:
        self.done += images
        self._passes[str(model.pk)] = self._passes.get(str(model.pk), 0) + images
        self.run.progress(self.done, self.total, f"asking {model.name}")

    def spent(self, model: RegisteredModel, seconds: float) -> None:
        self._seconds[str(model.pk)] = self._seconds.get(str(model.pk), 0.0) + seconds

    def facts_of(self, model: RegisteredModel, device: str) -> dict[str, Any]:
        return {
            "name": model.name,
            "role": model.role,
            "device": device,
            "forward_passes": self._passes.get(str(model.pk), 0),
            "seconds": round(self._seconds.get(str(model.pk), 0.0), 2),
        }


def _patterns(audit: Audit, d: Drawn, run: JobRun) -> np.ndarray:
    """(m + 1, ...) uint8: the true key's pattern, then those of the decoys, from the same generator and settings."""
    beacon = bytes.fromhex(d.release.key.beacon)
    patterns = [d.secret.patterns[0]]
    for number in range(audit.plan.decoys):
        key = decoy_key(audit.plan.digest, bytes.fromhex(audit.nonce), number)
        patterns.append(MarkSecret.derive(key, beacon, d.secret.settings).patterns[0])
        if number % 100 == 0:
            run.checkpoint()
    return np.stack(patterns)


def _question(audit: Audit, d: Drawn, model: RegisteredModel, size: int, patterns: np.ndarray, run: JobRun) -> Question:
    """All keys go to the same probes at the same places; the suspect alone is asked about the wrong key."""
    settings_json, places = d.secret.settings.to_json(), d.secret.placements(sha256 for _, sha256 in d.probes)
    wrong = None
    if d.wrong and model.pk == audit.plan.suspect_id:
        wrong = Marks(settings_json, d.wrong.patterns, places)
    kept = audit.folder / "images" / str(d.release.pk)
    return Question(
        subject=f"{model.sha256} {canonical_json(model.spec).decode()} {d.release.pk} {audit.nonce}",
        probes=load_images_once(kept / f"probes-{size}.npy", d.probes, size, lambda done: run.checkpoint()),
        group_images=np.zeros((0, size, size, 3), dtype=np.uint8),
        group_of=np.zeros(0, dtype=np.int64),
        marks=Marks(settings_json, patterns, places),
        wrong_marks=wrong,
    )


def _until_the_stop(
    run: JobRun, audit: Audit, d: Drawn, asked: list[AskedKeys], rules: Rules, count: _Progress
) -> dict[str, Any]:
    """Asks and looks in turn until every level's test is over, then judges all levels."""
    rule = stopping_rule(audit.plan)
    decoys, tests = 0, dict[Level, LevelTests]()
    while look := rule.next_look(
        decoys, [result for level in tests.values() for result in level.results], len(asked) - 1
    ):
        keys = range(decoys + 1 if decoys else 0, look + 1)
        for one in asked:
            _ask(one, audit, d, keys, count)
        decoys = look
        _check_levels(audit, asked)
        tests = {
            level: rank_level(asked[0].of_level(level), _references(asked, level), rule) for level in asked[0].scores
        }
    levels: dict[str, Any] = {level: {"reason": reason} for level, reason in asked[0].reasons.items()}
    for level, found in tests.items():
        levels[level] = judge_ranks(found, asked[0].of_level(level), _references(asked, level), rules)
    return {
        "test": "rank",
        "level": audit.plan.level,
        "levels": levels,
        "decoys": decoys,
        "probes_digest": d.digest,
        "nonce": audit.nonce,
    }


def _ask(one: AskedKeys, audit: Audit, d: Drawn, keys: range, count: _Progress) -> None:
    folder = audit.folder / "answers" / str(d.release.pk) / str(one.model.pk)
    begun = monotonic()
    answers = measure(one.question, folder, one.session, lambda images: count.asked(one.model, images), patterns=keys)
    count.spent(one.model, monotonic() - begun)
    one.score(answers, keys)


def _references(asked: list[AskedKeys], level: Level) -> Mapping[str, KeyScores]:
    return {one.model.name: one.of_level(level) for one in asked[1:] if level in one.scores}


def _check_levels(audit: Audit, asked: list[AskedKeys]) -> None:
    """Raises PlanError where the level that decides cannot be scored."""
    for one in asked:
        why: Mapping[Any, str] = one.reasons
        if audit.plan.level in why:
            if one is asked[0]:
                raise PlanError(f"The suspect cannot be tested at this level: {why[audit.plan.level]}")
            raise PlanError(f"The reference {one.model.name} cannot serve: {why[audit.plan.level]}")
