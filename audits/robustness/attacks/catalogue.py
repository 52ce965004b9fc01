"""All attacks, and the ones with which a table is made unless somebody asks for others; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audits.robustness.attacks.answers import NoisyFeatures, OnlyFamiliar, Rounded, Smoothed
from audits.robustness.attacks.attack import Attack
from audits.robustness.attacks.leaving_out import ByDistance, ByForest, ByLocalFactor, Deduplicated
from audits.robustness.attacks.models import Distilled, FineTuned, LinearProbe, Pruned, Quantised
from audits.robustness.attacks.pixels import Blurred, FewColours, Jpeg, Median, Noise, Resized
from audits.robustness.attacks.variants import CutMixed, Erased, RandAugmented, StrongViews
from audits.robustness.attacks.whole_copies import Merged, Purified, Recaptioned
from audits.robustness.copies import RobustnessError

# By the names that commands, forms and tables use.
CATALOGUE: dict[str, Attack] = {
    "jpeg-75": Jpeg(quality=75),
    "jpeg-50": Jpeg(quality=50),
    "resize": Resized(),
    "blur": Blurred(),
    "median": Median(),
    "noise": Noise(),
    "few-colours": FewColours(),
    "strong-views": StrongViews(),
    "randaugment": RandAugmented(),
    "erasing": Erased(),
    "cutmix": CutMixed(),
    "purify": Purified(),
    "recaption": Recaptioned(),
    "deduplicate": Deduplicated(),
    "k-distance": ByDistance(),
    "local-outlier-factor": ByLocalFactor(),
    "isolation-forest": ByForest(),
    "merge": Merged(),
    "fine-tune": FineTuned(),
    "linear-probe": LinearProbe(),
    "prune-30": Pruned(share=0.3),
    "prune-50": Pruned(share=0.5),
    "prune-70": Pruned(share=0.7),
    "int8": Quantised(),
    "feature-noise": NoisyFeatures(),
    "distil": Distilled(),
    "smooth": Smoothed(),
    "round": Rounded(),
    "only-familiar": OnlyFamiliar(),
}
# What a table begins with: one of each kind, most of which cost no training.
FIRST = ("jpeg-75", "strong-views", "merge", "fine-tune", "prune-50", "int8", "round", "only-familiar")
ATTACKS: dict[str, type[Attack]] = {attack.name: type(attack) for attack in CATALOGUE.values()}


def attack_of(value: Mapping[str, Any]) -> Attack:
    """Read what an attack's ``to_json`` wrote. Raises RobustnessError, and TrainingError for settings out of range."""
    name = value.get("name")
    if name not in ATTACKS:
        raise RobustnessError(f"There is no attack “{name}”; there are {', '.join(ATTACKS)}.")
    return ATTACKS[name].from_json(value)


def named(names: tuple[str, ...]) -> tuple[Attack, ...]:
    """Attacks by their names in the catalogue, each once. Raises RobustnessError."""
    if unknown := [name for name in names if name not in CATALOGUE]:
        raise RobustnessError(f"There is no attack “{unknown[0]}”. Choose among {', '.join(CATALOGUE)}.")
    return tuple(CATALOGUE[name] for name in dict.fromkeys(names))
