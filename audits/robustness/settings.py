"""What one table of robustness is made of; without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audits.asking.views import ViewSettings
from audits.pilots.checked import Checked, real, whole
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.attack import Attack
from audits.robustness.attacks.catalogue import attack_of
from audits.robustness.copies import RobustnessError
from audits.statistics.ranktest import decoys_needed
from provenance.marks import MarkSets, MarkSettings, VersionsSettings, WithheldSettings
from provenance.wording import count

ANY_BLOCKS = "0" * 64  # blocks are made of the stock's own images, so there is no file of them whose digest could stand
PARTS = (5, 3, 1, 1)  # tenths of a stock: the owner's pool, references', the evader's clean images, the task
FEWEST_IMAGES, MOST_IMAGES = 80, 100_000


def in_pool(images: int) -> int:
    """How many of a stock's images the owner has."""
    return PARTS[0] * images // sum(PARTS)


@dataclass(frozen=True)
class RobustnessSettings(Checked):
    """images: of the stock, half of which the owner has (`audits.robustness.stock`). trials: keys, each with seeds of
    its own. references: models that never saw a copy, the same for all trials. mark: one set. decoys: keys that nobody
    used, among which the true one of a plain mark is ranked.
    """

    recipe: TrainingSettings
    mark: MarkSettings | WithheldSettings
    attacks: tuple[Attack, ...]
    images: int = whole(FEWEST_IMAGES, MOST_IMAGES, 2000)
    trials: int = whole(1, 100, 5)
    references: int = whole(0, 8, 2)
    views: int = whole(2, 64, 10)
    smallest_crop: float = real(0.05, 1, 0.6)
    probes: int = whole(2, 100_000, 200)  # of struck marks
    permutations: int = whole(1, 10_000_000, 100_000)
    decoys: int = whole(1, 10_000, 999)
    alpha: float = real(1e-9, 0.5, 0.001)
    seed: int = whole(0, 2**31 - 1, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.mark, VersionsSettings):
            raise RobustnessError("Robustness is measured of images at home and of marks, not of versions yet.")
        least = decoys_needed(self.alpha, self.references)
        if self.is_plain and self.decoys < least:
            raise RobustnessError(
                f"Among {count(self.decoys)} decoys no plain mark could come to alpha {self.alpha:g}: ask "
                f"{count(least)} or more."
            )
        if isinstance(self.mark, MarkSettings) and self.mark.least_edge > self.recipe.side:
            raise RobustnessError(
                f"These marks need {self.mark.least_edge} pixels and the models see {self.recipe.side}; raise the side "
                "of the images."
            )
        titles = [attack.title for attack in self.attacks]
        if not titles or len(set(titles)) < len(titles):
            raise RobustnessError("Choose one attack or more, each once.")

    @property
    def is_plain(self) -> bool:
        return isinstance(self.mark, MarkSettings) and self.mark.is_plain

    @property
    def asked_of_decoys(self) -> int:
        """Images about which all models are asked, so that the key of a plain mark can be ranked; 0 for other marks."""
        models = self.rows + self.trials * self.references
        return (self.decoys + 2) * self.probes * models if self.is_plain else 0

    @property
    def drawn_views(self) -> ViewSettings:
        return ViewSettings(self.views, self.smallest_crop)

    def refusals(self, *, labelled: bool) -> dict[str, str]:
        """By title, why attacks cannot be measured with this recipe."""
        found = {attack.title: attack.refusal(self.recipe, labelled=labelled) for attack in self.attacks}
        return {title: why for title, why in found.items() if why}

    @property
    def rows(self) -> int:
        """Lines that are worked off: before any attack, and after each, for every trial."""
        return self.trials * (1 + len(self.attacks))

    @property
    def trainings(self) -> int:
        """Whole trainings of the recipe, without what attacks on a model train further."""
        anew = sum(attack.stage != "model" for attack in self.attacks)
        return self.references + self.trials * (1 + anew)

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return own | {
            "recipe": self.recipe.to_json(),
            "mark": self.mark.to_dict(),
            "attacks": [attack.to_json() for attack in self.attacks],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RobustnessSettings:
        nested = {
            "recipe": TrainingSettings.from_json(value["recipe"]),
            "mark": MarkSets.from_json(value["mark"]).sets[0],
            "attacks": tuple(attack_of(one) for one in value["attacks"]),
        }
        return super().from_json({**value, **nested})
