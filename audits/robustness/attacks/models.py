"""Attacks on a trained model: its weights, and further training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from audits.pilots.checked import real, whole
from audits.pilots.recipe import TrainingSettings
from audits.robustness.attacks.attack import ModelAttack
from provenance.wording import percent

if TYPE_CHECKING:  # load torch
    from audits.robustness.evader import Evader
    from audits.robustness.suspects import Suspect


@dataclass(frozen=True)
class FineTuned(ModelAttack):
    name = "fine-tune"
    changes = "trains the model on, by the same method, on images that no copy holds"
    epochs: float = real(0.01, 10, 0.25)  # of the first training's
    rate: float = real(0.001, 10, 0.5)  # of its peak learning rate

    @property
    def title(self) -> str:
        return f"fine-tuned on clean images, {percent(self.epochs)} of the epochs"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.suspects import Suspect

        first, begun = evader.model, evader.work / "begin-with.safetensors"
        first.save(begun)
        recipe = replace(
            evader.recipe,
            seed=evader.seed,
            epochs=max(1, round(self.epochs * evader.recipe.epochs)),
            batch_size=min(evader.recipe.batch_size, len(evader.clean)),
            learning_rate=self.rate * evader.recipe.learning_rate,
        )
        tuned = evader.work / "tuned"
        weights = evader.trained(evader.clean, recipe, begun).save(tuned)
        return Suspect.read(weights, first.recipe, first.task, first.device)


@dataclass(frozen=True)
class LinearProbe(ModelAttack):
    name = "linear-probe"
    changes = "offers the labels of a linear probe alone, and no features"

    @property
    def title(self) -> str:
        return "labels of a linear probe only"

    def refusal(self, recipe: TrainingSettings, *, labelled: bool) -> str:
        return "" if labelled else "the images have no classes that a probe could learn"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.suspects import fitted_probe
        from audits.robustness.weights import without_features

        model = evader.model
        if model.task is None:
            return model
        probe = fitted_probe(model.features(model.task.images[: model.task.half]), model.task)
        return replace(model, probe=probe).answering(without_features)


@dataclass(frozen=True)
class Pruned(ModelAttack):
    name = "prune"
    changes = "sets the smallest weights to zero (by size, over all layers)"
    share: float = real(0.01, 0.99, 0.3)

    @property
    def title(self) -> str:
        return f"{percent(self.share)} of the weights pruned"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import prune

        return evader.model.changed(lambda network: prune(network, self.share))


@dataclass(frozen=True)
class Quantised(ModelAttack):
    name = "int8"
    changes = "rounds the weights of every output channel to 8 bits"

    @property
    def title(self) -> str:
        return "weights of 8 bits"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.weights import quantise

        return evader.model.changed(quantise)


@dataclass(frozen=True)
class Distilled(ModelAttack):
    name = "distil"
    changes = "offers another encoder that learnt the model's features on images that no copy holds"
    encoder_width: int = whole(8, 1024, 24)
    epochs: float = real(0.01, 10, 1.0)  # of the first training's

    @property
    def title(self) -> str:
        return f"distilled into a small ResNet of width {self.encoder_width}"

    def offered(self, evader: Evader) -> Suspect:
        from audits.robustness.distilling import distilled

        epochs = max(1, round(self.epochs * evader.recipe.epochs))
        return distilled(evader, f"small_resnet:{self.encoder_width}", epochs)
