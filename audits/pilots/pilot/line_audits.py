"""Audits of a pilot's suspects: at the end of each training and on its way, and with other labels for their probes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from audits.judging.bases import Basis, areas
from audits.judging.levels import ChoiceLevel
from audits.pilots.pilot.auditing import Auditor, Found, Membership, found_at
from audits.pilots.pilot.copies import StruckCopy
from audits.pilots.pilot.found import LevelFound
from audits.pilots.pilot.learnt import Made
from audits.pilots.pilot.local_model import LocalModel
from audits.pilots.pilot.settings import Line, PilotSettings
from audits.pilots.pilot.tasks import task_labels
from audits.statistics.density import LEVELS
from provenance.marks import KeyedChoice
from provenance.whole_files import write_whole

ByEpoch = dict[Basis, dict[int, float]]
_OF_PROBES: tuple[Basis, ...] = ("soft", "hard")


class LineAudits:
    """folder: where scores are kept. twin: gives the model of an unmarked twin."""

    def __init__(
        self, settings: PilotSettings, folder: Path, auditor: Auditor, twin: Callable[[Line], LocalModel]
    ) -> None:
        self._settings, self._folder, self._auditor, self._twin = settings, folder, auditor, twin

    def look(self, line: Line, made: Made | None, epoch: int, model: LocalModel) -> None:
        """Keeps what a model knows of its marks, or of what stayed home, after so many epochs."""
        if line.variation or epoch not in self._settings.looks:
            return
        if made is not None and made.copy is not None:
            self._look_at_marks(line, made.copy, epoch, model)
        elif made is not None or self._settings.withheld:
            self._auditor.membership(model, self._scores(line, epoch))

    def _look_at_marks(self, line: Line, copy: StruckCopy, epoch: int, model: LocalModel) -> None:
        """Without references, for no twin was asked about this key's patterns on its way."""
        kept = self._grown(line, epoch)
        if copy.secret.settings.is_plain or kept.exists():
            return
        found = self._auditor.struck(copy, model, {}, line.name).levels
        text = json.dumps({level: one.z for level, one in found.items()})
        write_whole(kept, partial(Path.write_text, data=text, encoding="utf-8"))

    def grown(self, line: Line) -> ByEpoch:
        """z of marks without references, by level and epoch."""
        found: ByEpoch = {}
        for epoch in self._settings.looks:
            kept = self._grown(line, epoch)
            read = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
            for level in (one for one in LEVELS if one in read):
                found.setdefault(level, {})[epoch] = read[level]
        return found

    def of(self, line: Line, made: Made, model: LocalModel, twins: Sequence[Line]) -> tuple[Found, ByEpoch]:
        """By all levels, and the AUC of what stayed home by level and epoch."""
        if made.copy is not None:
            named = {twin.name: self._twin(twin) for twin in twins}
            return self._auditor.struck(made.copy, model, named, line.name), {}
        assert made.choice is not None  # noqa: S101 - one of the two is there
        aucs: ByEpoch = {}
        judged: dict[Basis, ChoiceLevel] = {}
        last = self._settings.looks[-1]
        for epoch in self._settings.looks:
            if epoch < last and not all(self._scores(one, epoch).exists() for one in (line, *twins)):
                continue  # nobody can look back
            references = {twin: self._twin(twin) for twin in twins}
            judged = self._judged(line, made.choice, model, references, epoch, whole=epoch == last)
            for level in (one for one in LEVELS if one in judged):
                for basis, auc in areas(level, judged[level]).items():
                    aucs.setdefault(basis, {})[epoch] = round(auc, 5)
        queries = len(made.choice.positions) * self._settings.views
        return Found({level: found_at(one) for level, one in judged.items()}, {}, queries), aucs

    def on_tasks(
        self, line: Line, made: Made, model: LocalModel, twins: Sequence[Line]
    ) -> dict[str, dict[Basis, LevelFound]]:
        """What the labels of probes say that were fitted for another task; nothing for variations."""
        pool, found = self._auditor.pool, {}
        for task in self._settings.tasks if self._is_planned(line) else ():
            labels = task_labels(task, pool.apart, pool.apart_labels)
            if labels is None:
                continue
            asked = model.on_task(labels)
            references = {twin: self._twin(twin).on_task(labels) for twin in twins}
            if made.copy is not None:
                named = {twin.name: one for twin, one in references.items()}
                levels = self._auditor.struck(made.copy, asked, named, f"{line.name} {task}").levels
            else:
                assert made.choice is not None  # noqa: S101 - one of the two is there
                last = self._settings.looks[-1]
                judged = self._judged(line, made.choice, asked, references, last, task)
                levels = {level: found_at(one) for level, one in judged.items()}
            found[task] = {level: levels[level] for level in _OF_PROBES if level in levels}
        return found

    def _is_planned(self, line: Line) -> bool:
        return not line.variation and line.method == self._settings.methods[0]

    def _judged(
        self,
        line: Line,
        choice: KeyedChoice,
        model: LocalModel,
        twins: Mapping[Line, LocalModel],
        epoch: int,
        task: str = "",
        whole: bool = False,
    ) -> dict[Basis, ChoiceLevel]:
        own = self._auditor.membership(model, self._scores(line, epoch, task))
        others: dict[str, Membership] = {
            twin.name: self._auditor.membership(asked, self._scores(twin, epoch, task)) for twin, asked in twins.items()
        }
        return self._auditor.withheld(choice, own, others, line.name, whole)

    def _grown(self, line: Line, epoch: int) -> Path:
        return self._folder / line.name / f"grown-{epoch:05d}.json"

    def _scores(self, line: Line, epoch: int, task: str = "") -> Path:
        return self._folder / line.name / f"scores-{epoch:05d}{task and '-'}{task}.npz"
