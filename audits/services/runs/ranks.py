"""The part of an audit's run that asks about plain marks: the true key among its decoys, look by look.

Every model is asked about all keys of a look before the test looks; it ends when each level's own stop says so.
Answers are kept per block, and decoys follow from plan and nonce, so another attempt takes the same looks in the same
order. Secrets exist inside the job only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from audits.asking.decoys import among_decoys
from audits.asking.measuring import KEY, WRONG, Answers, Marks, Question
from audits.asking.probe_images import load_images_once
from audits.judging.assignments import Rules
from audits.judging.levels import RankLevel, Unscored
from audits.judging.ranks import KeyScores, LevelTests, judge_ranks, rank_level
from audits.judging.result import RANK, RankedResult
from audits.judging.scoring import available_levels, score_keys
from audits.models import Audit, Plan, RegisteredModel
from audits.services.plans.frozen import stopping_rule
from audits.services.runs.asked import Asked
from audits.services.runs.chosen_images import ChosenImages
from audits.services.runs.scored import NO_ANSWERS, cannot_serve
from audits.statistics.density import LEVELS, DegenerateAnswersError, DensityScores, Level
from provenance.services.jobs.running import JobRun

if TYPE_CHECKING:
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
    asked: Asked,
    opened: Sequence[tuple[RegisteredModel, SandboxedModel]],
    chosen_sets: Sequence[ChosenImages],
    rules: Rules,
    run: JobRun,
) -> dict[str, RankedResult]:
    """The result of every set by its name. opened: all models at once, the suspect first."""
    results = {}
    for chosen in chosen_sets:
        patterns = _patterns(asked.audit, chosen, run)
        keys = [
            AskedKeys(model, _question(asked.audit, chosen, model, session.info.input_shape[1], patterns, run), session)
            for model, session in opened
        ]
        results[chosen.name] = _until_the_stop(asked, chosen, keys, rules)
    return results


def most_passes(plan: Plan, chosen: ChosenImages, models: int) -> int:
    """Forward passes where nothing stops early: clean probes, the true key and all decoys, and the wrong key once."""
    return plan.probes * ((plan.decoys + 2) * models + (1 if chosen.wrong else 0))


def _patterns(audit: Audit, chosen: ChosenImages, run: JobRun) -> np.ndarray:
    """(m + 1, ...) uint8: the true key's pattern, then those of the decoys."""
    return among_decoys(
        chosen.secret,
        audit.plan.decoys,
        digest=audit.plan.digest,
        nonce=bytes.fromhex(audit.nonce),
        beacon=bytes.fromhex(chosen.release.key.beacon),
        number=chosen.number,
        step=run.checkpoint,
    )


def _question(
    audit: Audit, chosen: ChosenImages, model: RegisteredModel, size: int, patterns: np.ndarray, run: JobRun
) -> Question:
    """All keys go to the same probes at the same places; the suspect alone is asked about the wrong key."""
    settings_json, places = chosen.secret.settings.to_json(), chosen.secret.placements(chosen.places)
    wrong = None
    if chosen.wrong and model.pk == audit.plan.suspect_id:
        wrong = Marks(settings_json, chosen.wrong.patterns, places)
    kept = audit.folder / "images" / chosen.name
    return Question(
        subject=f"{model.asked_as} {chosen.release.pk} {audit.nonce}",
        probes=load_images_once(kept / f"probes-{size}.npy", chosen.probes, size, lambda done: run.checkpoint()),
        group_images=np.zeros((0, size, size, 3), dtype=np.uint8),
        group_of=np.zeros(0, dtype=np.int64),
        marks=Marks(settings_json, patterns, places),
        wrong_marks=wrong,
    )


def _until_the_stop(asked: Asked, chosen: ChosenImages, keys: list[AskedKeys], rules: Rules) -> RankedResult:
    """Asks and looks in turn until every level's test is over, then judges all levels."""
    plan, rule = asked.audit.plan, stopping_rule(asked.audit.plan)
    decoys, tests, reasons = 0, dict[Level, LevelTests](), dict[Level, str]()
    while look := rule.next_look(
        decoys, [result for level in tests.values() for result in level.results], len(keys) - 1
    ):
        numbers = range(decoys + 1 if decoys else 0, look + 1)
        for one in keys:
            one.score(asked.ask(chosen, one.model, one.question, one.session, numbers), numbers)
        decoys, reasons = look, _reasons(plan, keys)
        testable = [level for level in keys[0].scores if level not in reasons]
        if not testable:
            break
        tests = {level: rank_level(keys[0].of_level(level), _references(keys, level), rule) for level in testable}
    levels: dict[Level, RankLevel | Unscored] = {level: Unscored(reason) for level, reason in reasons.items()}
    for level, found in tests.items():
        if level not in reasons:
            levels[level] = judge_ranks(found, keys[0].of_level(level), _references(keys, level), rules)
    return RankedResult(
        test=RANK,
        level=rules.level,
        levels=levels,
        decoys=decoys,
        probes_digest=chosen.digest,
        nonce=asked.audit.nonce,
    )


def _references(keys: list[AskedKeys], level: Level) -> Mapping[str, KeyScores]:
    return {one.model.name: one.of_level(level) for one in keys[1:] if level in one.scores and level not in one.reasons}


def _reasons(plan: Plan, keys: list[AskedKeys]) -> dict[Level, str]:
    """Levels that cannot be tested; at one that decides, the references are used all together or not at all."""
    reasons = dict(keys[0].reasons)
    deciding = [level for level in LEVELS if level in plan.primary_levels]
    for one in keys[1:]:
        for level in deciding:
            if level not in one.scores or level in one.reasons:
                reasons.setdefault(level, cannot_serve(one.model, one.reasons.get(level, NO_ANSWERS)))
    return reasons
