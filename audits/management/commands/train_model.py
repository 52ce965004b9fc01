import json
from typing import Any

from django.core.management.base import CommandParser

from audits.models import RegisteredModel, Training
from audits.pilots.checked import TrainingError
from audits.pilots.methods import METHODS
from audits.pilots.recipe import Augmentation, TrainingSettings
from audits.services.trainings import starting
from provenance.management.base import TouchmarkCommand
from provenance.models import Release, User, Version
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Trains a small model on a version or on one of its releases, and registers it."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--release", help="id of a release of it to train on, instead of the unmarked images")
        parser.add_argument("--name", required=True)
        parser.add_argument("--becomes", choices=dict(starting.ROLES), default=RegisteredModel.ModelRole.SUSPECT)
        parser.add_argument("--method", choices=METHODS, default="simclr")
        parser.add_argument("--method-options", help='its own settings as JSON, such as {"temperature": 0.1}')
        encoders = "small_resnet:WIDTH, cifar_resnet:DEPTH or timm:NAME"
        parser.add_argument("--encoder", help=f"{encoders} (default {starting.ENCODER}); CLIP has its own")
        side = f"of the images in pixels; CLIP has its own (default {starting.SIDE})"
        parser.add_argument("--side", type=int, default=starting.SIDE, help=side)
        parser.add_argument("--epochs", type=int, default=100)
        parser.add_argument("--batch-size", type=int, default=128)
        parser.add_argument("--learning-rate", type=float, default=1e-3)
        parser.add_argument("--smallest-crop", type=float, default=0.2, help="share of an image in a view")
        parser.add_argument("--threads", type=int, default=1)
        parser.add_argument("--bfloat16", action="store_true")
        parser.add_argument("--compiled", action="store_true", help="compile the encoder, where there is a GPU")
        parser.add_argument("--class-names", nargs="+", default=[], help="prompts for the labels of CLIP")
        parser.add_argument("--begin-with", help="id of a model trained here, whose weights are tuned further")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        if options["bfloat16"]:
            self._warn_of_emulation()
        training = starting.start(
            options["name"],
            get_visible(Version, user, options["version"]),
            by=user,
            release=get_visible(Release, user, options["release"]) if options["release"] else None,
            settings=self._settings(options),
            becomes=options["becomes"],
            class_names=tuple(options["class_names"]),
            begin_with=get_visible(RegisteredModel, user, options["begin_with"]) if options["begin_with"] else None,
        )
        assert training.job is not None  # noqa: S101
        self.finish(training.job, options)
        training = Training.objects.select_related("model").get(pk=training.pk)
        model = str(training.model.pk) if training.model else None
        told = {"training": str(training.pk), "job": str(training.job_id), "state": training.state, "model": model}
        return told | {"settings": training.settings, "curve": training.curve}

    def _warn_of_emulation(self) -> None:
        from audits.pilots.precision import bfloat16_is_fast  # torch

        if not bfloat16_is_fast():
            self.stderr.write(
                "This processor has no bfloat16: torch emulates it, many times slower; leave out --bfloat16 here."
            )

    def _settings(self, options: dict[str, Any]) -> TrainingSettings:
        names = ("epochs", "batch_size", "learning_rate", "threads", "bfloat16", "compiled")
        given = {name: options[name] for name in names}
        method = {"name": options["method"], **self._method_options(options["method_options"])}
        views = Augmentation(smallest_crop=options["smallest_crop"])
        return starting.settings_for(method, options["encoder"] or "", options["side"], augmentation=views, **given)

    def _method_options(self, text: str | None) -> dict[str, Any]:
        try:
            value = json.loads(text or "{}")
        except ValueError as error:
            raise TrainingError("The options of a method are a JSON object.") from error
        if not isinstance(value, dict) or "name" in value:
            raise TrainingError("The options of a method are a JSON object.")
        return value
