"""What each method teaches in one step, as a module that holds all that is trained."""

from __future__ import annotations

from audits.pilots.methods import Byol, Clip, Dino, Moco, SimClr, SimSiam, Supervised
from audits.pilots.objectives.objective import Objective
from audits.pilots.recipe import TrainingSettings
from audits.pilots.training_set import TrainingSet

__all__ = ["Objective", "objective_of"]


def objective_of(settings: TrainingSettings, data: TrainingSet) -> Objective:
    """An untrained objective, from torch's global random numbers. Raises TrainingError for unfit data."""
    from audits.pilots.objectives.agreement import ByolObjective, SimSiamObjective
    from audits.pilots.objectives.captions import ClipObjective
    from audits.pilots.objectives.classes import SupervisedObjective
    from audits.pilots.objectives.contrast import MocoObjective, SimClrObjective
    from audits.pilots.objectives.distillation import DinoObjective

    match settings.method:
        case Clip():
            return ClipObjective(settings, data)
        case Supervised() as method:
            return SupervisedObjective(settings, data, method)
        case SimClr() as method:
            return SimClrObjective(settings, method)
        case Moco() as method:
            return MocoObjective(settings, data, method)
        case Byol() as method:
            return ByolObjective(settings, method)
        case SimSiam() as method:
            return SimSiamObjective(settings, method)
        case Dino() as method:
            return DinoObjective(settings, method)
    raise TypeError(f"No objective for {settings.method}")
