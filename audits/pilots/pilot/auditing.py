"""Models of a pilot are asked and judged as suspects are: the same questions, scores, tests and controls."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from audits.asking.measuring import Answers, Marks, Question, measure
from audits.asking.view_questions import ViewAnswers, ViewQuestion
from audits.asking.views import ViewSettings, applied, drawn_views
from audits.judging.assignments import Rules, Secrets, judge_level
from audits.judging.bases import Basis, judge_beside
from audits.judging.choices import Choices, judge_choice, wrong_choice
from audits.judging.levels import AssociatedLevel, ChoiceLevel, RankLevel
from audits.judging.membership import SCORES, MembershipScores, membership_levels
from audits.judging.ranks import KeyScores, judge_ranks, rank_level, score_ranks
from audits.judging.scoring import LevelScores, score_levels
from audits.pilots.pilot.copies import StruckCopy
from audits.pilots.pilot.found import LevelFound
from audits.pilots.pilot.local_model import LocalModel
from audits.pilots.pilot.plain_marks import AskedKeys
from audits.pilots.pilot.pool import Pool
from audits.pilots.pilot.settings import PilotSettings
from audits.statistics.choices import Blocks
from audits.statistics.covariates import picture_covariates
from audits.statistics.density import LEVELS, Level
from audits.statistics.permutation import philox_from
from audits.statistics.ranktest import StoppingRule
from audits.suspects import AppliedViews
from provenance.marks import KeyedChoice, MarkSecret
from provenance.whole_files import write_whole

AT_ONCE = 256

Membership = Mapping[Level, MembershipScores]
Step = Callable[[], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What all levels of one audit say; reasons: why a level says nothing."""

    levels: dict[Basis, LevelFound]
    reasons: dict[Level, str]
    queries: int


@dataclass(frozen=True)
class Auditor:
    """Asks the models of one pilot. folder: for answers, which are gone once they are scored."""

    settings: PilotSettings
    pool: Pool
    folder: Path
    step: Step

    def membership(self, model: LocalModel, kept: Path) -> Membership:
        """How well a model knows every alternative of every block; kept: where the scores are, or will be."""
        if not kept.exists():
            captions = self._captions if model.reads_captions else None
            question = ViewQuestion("pilot", self.pool.images[self.alternatives], self._views(), captions)
            work = self.folder / "answers"
            shutil.rmtree(work, ignore_errors=True)
            measure(question, work, model, lambda answered: self.step())
            levels, _ = membership_levels(ViewAnswers(work, len(question.images)))
            shutil.rmtree(work)
            write_whole(kept, lambda part: _save(part, levels))
        return _read(kept)

    def _views(self) -> AppliedViews:
        drawn = drawn_views(ViewSettings(count=self.settings.views), philox_from(self._digest, "views"))
        return applied(drawn, self.settings.pixels)

    @property
    def alternatives(self) -> NDArray[np.int64]:
        """(m,) positions in the pool of what stands for each alternative, block by block."""
        assert self.pool.blocks is not None  # noqa: S101 - asked for where something stays home
        return self.pool.blocks.first_of_unit[self.pool.blocks.alternatives.reshape(-1)]

    @property
    def _captions(self) -> list[str | None] | None:
        """The alternatives' own captions, where there are any: a class as a prompt is not an image's own."""
        own = [self.pool.entries[place].caption for place in self.alternatives]
        return own if any(own) else None

    @property
    def _digest(self) -> str:
        return self.settings.drawn("audit").hex()

    def withheld(
        self, choice: KeyedChoice, own: Membership, references: Mapping[str, Membership], name: str, whole: bool
    ) -> dict[Basis, ChoiceLevel]:
        """Levels that the model and all references have, by density; whole: by captions beside it, where all read."""
        place = np.full(len(self.pool), -1, dtype=np.int64)
        place[self.alternatives] = np.arange(len(self.alternatives))
        picked = place[choice.positions]
        blocks = Blocks(choice.block_of, choice.home)
        images = self.pool.images[choice.positions]
        parts = (images[start : start + AT_ONCE] for start in range(0, len(images), AT_ONCE))
        choices = Choices(blocks, wrong_choice(blocks, self._digest, name), picture_covariates(parts))
        found: dict[Basis, ChoiceLevel] = {}
        for level, scores in own.items():
            if all(level in other for other in references.values()):
                others = {key: _of(other[level], picked) for key, other in references.items()}
                asked = level, _of(scores, picked), others, choices, self._rules(level), name
                found[level] = judge_choice(*asked)
                if whole:
                    found |= judge_beside(*asked)
        return found

    def struck(self, copy: StruckCopy, model: LocalModel, references: Mapping[str, LocalModel], name: str) -> Found:
        """About one marked copy; a wrong key is asked about beside the true one."""
        key, beacon = (self.settings.drawn(f"wrong {what} of {name}") for what in ("key", "beacon"))
        wrong = MarkSecret.derive(key, beacon, copy.secret.settings)
        if copy.secret.settings.is_plain:
            return self._plain(copy, wrong, model, references, name)
        question = self._question(copy, name, wrong)
        scored, reasons = self._scored(question, model, len(wrong.patterns))
        others = {
            other: self._scored(self._question(copy, f"{name} {other}", None), asked, len(wrong.patterns))[0]
            for other, asked in references.items()
        }
        secrets, levels = Secrets(copy.secret.assignment, wrong.assignment), dict[Basis, LevelFound]()
        for level, scores in scored.items():
            beside = {other: given[level] for other, given in others.items() if level in given}
            levels[level] = found_at(judge_level(level, scores, beside, secrets, self._rules(level), name))
        return Found(levels, reasons, question.forward_passes)

    def _plain(
        self,
        copy: StruckCopy,
        wrong: MarkSecret,
        model: LocalModel,
        references: Mapping[str, LocalModel],
        name: str,
    ) -> Found:
        """The true key's rank among decoys, about all of which the references are asked, too."""
        contents = [self.pool.entries[position].sha256 for position in copy.probes]
        drawn, nonce = self.settings.decoys, self.settings.drawn(f"decoys of {name}")
        keys = AskedKeys.among(copy, contents, drawn, digest=self._digest, nonce=nonce, step=self.step)
        question = keys.question(name, wrong)

        def scored(asked: Question, by: LocalModel) -> tuple[dict[Level, KeyScores], dict[Level, str]]:
            return self._answered(asked, by, lambda answers: score_ranks(answers, range(drawn + 1)))

        own, reasons = scored(question, model)
        others = {
            other: scored(keys.question(f"{name} {other}", None), asked)[0] for other, asked in references.items()
        }
        levels = dict[Basis, LevelFound]()
        for level, scores in own.items():
            beside = {other: given[level] for other, given in others.items() if level in given}
            tests = rank_level(scores, beside, StoppingRule(drawn))
            levels[level] = found_at(judge_ranks(tests, scores, beside, self._rules(level)))
        return Found(levels, reasons, question.forward_passes)

    def _question(self, copy: StruckCopy, name: str, wrong: MarkSecret | None) -> Question:
        contents = [self.pool.entries[position].sha256 for position in copy.probes]

        def marks(secret: MarkSecret) -> Marks:
            return Marks(secret.settings.to_json(), secret.patterns, secret.placements(contents))

        return Question(
            subject=name,
            probes=copy.images[list(copy.probes)],
            group_images=copy.images[list(copy.group_images)],
            group_of=copy.group_of,
            marks=marks(copy.secret),
            wrong_marks=marks(wrong) if wrong else None,
        )

    def _scored(
        self, question: Question, model: LocalModel, groups: int
    ) -> tuple[dict[Level, LevelScores], dict[Level, str]]:
        return self._answered(question, model, lambda answers: score_levels(answers, groups, question.group_of))

    def _answered(self, question: Question, model: LocalModel, read: Callable[[Answers], T]) -> T:
        """What is read of a model's answers, which are gone afterwards."""
        work = self.folder / "answers"
        shutil.rmtree(work, ignore_errors=True)
        found = read(measure(question, work, model, lambda answered: self.step()))
        shutil.rmtree(work)
        return found

    def _rules(self, level: Level) -> Rules:
        drawn = self.settings.permutations
        return Rules(self._digest, level, self.settings.alpha, drawn, decide_with_references=True, choices=drawn)


def found_at(level: AssociatedLevel | ChoiceLevel | RankLevel) -> LevelFound:
    """What is kept of a judged level."""
    counted = level.with_references or level.without
    return LevelFound(
        p=level.p,
        p_without=level.p_without,
        z=round(counted.z, 4),
        smallest_p=level.smallest_p,
        auc=getattr(counted, "auc", None),
        wrong_key=level.wrong_key,
    )


def _of(scores: MembershipScores, picked: NDArray[np.int64]) -> MembershipScores:
    return MembershipScores({name: values[picked] for name, values in scores.scores.items()}, scores.missing)


def _save(part: Path, levels: Membership) -> None:
    with part.open("wb") as stream:
        tables = {f"{level}/{name}": v for level, scores in levels.items() for name, v in scores.scores.items()}
        np.savez(stream, allow_pickle=False, **tables)


def _read(kept: Path) -> Membership:
    found: dict[Level, MembershipScores] = {}
    with np.load(kept, allow_pickle=False) as tables:
        for level in LEVELS:
            given = {name: tables[f"{level}/{name}"] for name in SCORES if f"{level}/{name}" in tables.files}
            if given:
                found[level] = MembershipScores(given, 0)
    return found
