"""The kinds of evidence whose robustness is measured: images that stayed home, associated marks, and plain ones.

Each holds what was published under one key, asks models what an audit would, and judges by the product's own tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from audits.asking.questions import CLEAN, GROUPS, KEY
from audits.asking.view_questions import ALTERNATIVES
from audits.judging.assignments import Rules, Secrets, judge_level
from audits.judging.bases import Basis, judge_beside
from audits.judging.choices import Choices, judge_choice
from audits.judging.levels import ChoiceLevel
from audits.judging.membership import MembershipScores, membership_levels
from audits.judging.ranks import KeyScores, judge_ranks, rank_level, score_ranks
from audits.judging.scoring import LevelScores, score_levels
from audits.pilots.augmentation import channels_first
from audits.robustness.copies import Copy, Ints
from audits.robustness.held import HeldAnswers, HeldViewAnswers, Table
from audits.robustness.suspects import BATCH, Said, Suspect
from audits.robustness.table import Measured
from audits.statistics.choices import Blocks
from audits.statistics.density import Level
from audits.statistics.ranktest import StoppingRule
from audits.suspects import AppliedViews
from audits.suspects.view_pixels import ViewMaker
from provenance.marks import MarkSecret, MarkSettings, family_for

Images = NDArray[np.uint8]
Scored = TypeVar("Scored", MembershipScores, LevelScores, KeyScores)
KEYS_AT_ONCE = 50
DIGEST, RELEASE = "robustness", "robustness"  # no plan is locked here, and no release made


class Evidence(ABC, Generic[Scored]):
    """copy: what its recipient got; second: what another recipient got, under another key."""

    copy: Copy
    second: Copy

    @abstractmethod
    def scores(self, model: Suspect) -> Mapping[Level, Scored]:
        """What a model's answers say at every level that it has; none where it says the same to everything."""

    @abstractmethod
    def judged(
        self, level: Level, suspect: Scored, references: Mapping[str, Scored], alpha: float
    ) -> dict[Basis, Measured]:
        """The test with references where there are some, else the one without; by single scores beside it."""

    def found(
        self, suspect: Suspect, references: Mapping[str, Mapping[Level, Scored]], alpha: float
    ) -> dict[Basis, Measured]:
        """All levels of one suspect; a reference counts at the levels that it has."""
        found: dict[Basis, Measured] = {}
        for level, scores in self.scores(suspect).items():
            beside = {name: given[level] for name, given in references.items() if level in given}
            found |= self.judged(level, scores, beside, alpha)
        return found


@dataclass(frozen=True)
class Withheld(Evidence[MembershipScores]):
    """alternatives (n, S, S, 3): as the owner has them; blocks: which of them stayed home.

    captions: the alternatives' own, None where one has none; None altogether: nobody is asked about captions. drawn:
    random choices that the omnibus is compared with.
    """

    copy: Copy
    second: Copy
    alternatives: Images
    blocks: Blocks
    views: AppliedViews
    captions: tuple[str | None, ...] | None
    drawn: int

    def scores(self, model: Suspect) -> Mapping[Level, MembershipScores]:
        maker, count = ViewMaker(self.views, model.device), len(self.views)
        said = []
        for start in range(0, len(self.alternatives), max(1, BATCH // count)):
            images = _tensor(self.alternatives[start : start + max(1, BATCH // count)], model)
            numbers = torch.arange(count, device=model.device).repeat(len(images))
            said.append(model.said(maker(images.repeat_interleave(count, dim=0), numbers)))
        tables = _tables(said)
        shape = len(self.alternatives), count, -1
        answers = {kind: table.reshape(shape) for kind, table in tables.items()}
        if "features" in answers and (cosines := self._cosines(model, answers["features"])) is not None:
            answers["captions"] = cosines
        return membership_levels(HeldViewAnswers(answers))[0]

    def _cosines(self, model: Suspect, features: Table) -> Table | None:
        """(n, V, 1) of features (n, V, d) with the alternatives' captions, as far as they have some."""
        reader = model.captions() if self.captions is not None else None
        if reader is None or self.captions is None:
            return None
        reader.load(ALTERNATIVES, [caption or "" for caption in self.captions])
        n, count, width = features.shape
        places = torch.arange(n, device=model.device).repeat_interleave(count)
        flat = torch.from_numpy(features).reshape(n * count, width).to(model.device)
        cosines = reader.cosines(ALTERNATIVES, places, flat).cpu().numpy().reshape(n, count, 1)
        cosines[[caption is None for caption in self.captions]] = np.nan
        return cosines

    def judged(
        self,
        level: Level,
        suspect: MembershipScores,
        references: Mapping[str, MembershipScores],
        alpha: float,
    ) -> dict[Basis, Measured]:
        rules = Rules(DIGEST, level, alpha, 0, decide_with_references=True, choices=self.drawn)
        choices = Choices(self.blocks, None, np.empty((0, len(self.blocks.block_of))))
        asked = level, suspect, references, choices, rules, RELEASE
        judged: dict[Basis, ChoiceLevel] = {level: judge_choice(*asked), **judge_beside(*asked)}
        tests = {basis: one.counted(True) for basis, one in judged.items()}
        return {basis: Measured(test.z, test.p, test.auc) for basis, test in tests.items()}


@dataclass(frozen=True)
class Struck(Evidence[LevelScores]):
    """Associated marks of G patterns. probes (N, S, S, 3) and members of groups: clean images that bear no mark.

    places (N, 2): where probes are marked; group_of (M,): of members.
    """

    copy: Copy
    second: Copy
    secret: MarkSecret
    probes: Images
    places: NDArray[np.float64]
    members: Images
    group_of: Ints
    permutations: int

    def scores(self, model: Suspect) -> Mapping[Level, LevelScores]:
        probes = _tensor(self.probes, model).float()
        tables = {
            CLEAN: _tables(_asked(model, probes)),
            GROUPS: _tables(_asked(model, _tensor(self.members, model).float())),
        }
        for number, pattern in enumerate(self.secret.patterns):
            marked = _marked(probes, pattern, self.places, self.secret.settings)
            tables[f"{KEY}-{number:03d}"] = _tables(_asked(model, marked))
        return score_levels(HeldAnswers(tables), len(self.secret.patterns), self.group_of)[0]

    def judged(
        self, level: Level, suspect: LevelScores, references: Mapping[str, LevelScores], alpha: float
    ) -> dict[Basis, Measured]:
        rules = Rules(DIGEST, level, alpha, self.permutations, decide_with_references=True)
        secrets = Secrets(self.secret.assignment, restriction=self.secret.settings.restriction)
        judged = judge_level(level, suspect, references, secrets, rules, RELEASE)
        test = judged.counted(True)
        return {level: Measured(test.z, test.p)}


@dataclass(frozen=True)
class Plain(Evidence[KeyScores]):
    """One pattern, whose key is ranked among its decoys.

    patterns (m + 1, ...) uint8: the true key's, then those of its m decoys; probes (N, S, S, 3): clean images that bear
    no mark; places (N, 2): where they are marked. step: called between questions; may raise to end the work.
    """

    copy: Copy
    second: Copy
    settings: MarkSettings
    patterns: Images
    probes: Images
    places: NDArray[np.float64]
    step: Callable[[], None]

    def scores(self, model: Suspect) -> Mapping[Level, KeyScores]:
        """A few keys at once: all their answers together would need much memory."""
        probes, parts = _tensor(self.probes, model).float(), list[Mapping[Level, KeyScores]]()
        clean = _tables(_asked(model, probes))
        for start in range(0, len(self.patterns), KEYS_AT_ONCE):
            self.step()
            keys = range(start, min(start + KEYS_AT_ONCE, len(self.patterns)))
            tables = {CLEAN: clean}
            for number in keys:
                marked = _marked(probes, self.patterns[number], self.places, self.settings)
                tables[f"{KEY}-{number:03d}"] = _tables(_asked(model, marked))
            parts.append(score_ranks(HeldAnswers(tables), keys)[0])
        return {level: KeyScores.joined([part[level] for part in parts]) for level in parts[0]}

    def judged(
        self, level: Level, suspect: KeyScores, references: Mapping[str, KeyScores], alpha: float
    ) -> dict[Basis, Measured]:
        rules = Rules(DIGEST, level, alpha, 0, decide_with_references=True)
        tests = rank_level(suspect, references, StoppingRule(len(self.patterns) - 1))
        test = judge_ranks(tests, suspect, references, rules).counted(True)
        return {level: Measured(test.z, test.p)}


def _marked(probes: torch.Tensor, pattern: Images, places: NDArray[np.float64], settings: MarkSettings) -> torch.Tensor:
    """Probes (N, 3, S, S) with this pattern at these places, in whole grey levels."""
    given, where = torch.from_numpy(pattern[None]).to(probes.device), torch.from_numpy(places).to(probes.device)
    return family_for(settings).apply(probes, given, where).round().clamp(0, 255)


def _tensor(images: Images, model: Suspect) -> torch.Tensor:
    return channels_first(torch.from_numpy(np.ascontiguousarray(images))).contiguous().to(model.device)


def _asked(model: Suspect, images: torch.Tensor) -> list[Said]:
    return [model.said(block) for block in images.split(BATCH)]


def _tables(said: list[Said]) -> dict[str, Table]:
    """What a model gave of "features" and "soft", over all batches."""
    found: dict[str, Table] = {}
    for kind in Said._fields:
        parts = [getattr(one, kind) for one in said]
        if all(part is not None for part in parts):
            found[kind] = torch.cat(parts).float().cpu().numpy()
    return found
