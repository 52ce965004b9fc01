import json
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audits.models import RegisteredModel
from audits.services.models import registering
from audits.services.models.identity import names_seen_by
from audits.suspects import ModelSpec, SpecError
from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.models import Organisation, Role, User


class Command(TouchmarkCommand):
    help = "Registers the weights of a suspect, a reference or an encoder, and tests the connection to it."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("weights", type=Path, help="safetensors, a plain PyTorch state dict, or ONNX")
        parser.add_argument("--name", required=True)
        parser.add_argument("--role", choices=RegisteredModel.ModelRole.values, default="suspect")
        parser.add_argument("--origin", default="", help="who made it, where and when it was obtained")
        parser.add_argument(
            "--published-on",
            type=date.fromisoformat,
            help="day on which it came out, such as 2026-03-01; cannot be changed afterwards",
        )
        parser.add_argument(
            "--declare", action="store_true", help="declare that it never saw a release (needed for a reference)"
        )
        parser.add_argument("--organisation", help="name, where the person may register models in several")
        parser.add_argument("--architecture", help="timm:resnet18, open_clip:ViT-B-32, cifar_resnet:20, onnx …")
        parser.add_argument("--returns", nargs="+", choices=["features", "soft", "hard"], default=["features"])
        parser.add_argument("--top-k", type=int, help="soft labels: how many of the likeliest an answer names")
        parser.add_argument("--input-size", type=int)
        parser.add_argument("--mean", nargs="+", type=float)
        parser.add_argument("--deviation", nargs="+", type=float)
        parser.add_argument("--class-names", nargs="+", default=[], help="prompts of open_clip models")
        parser.add_argument("--templates", nargs="+", help="such as “a photo of a {}.”")
        parser.add_argument("--spec", type=Path, help="the whole description as a JSON file, instead of the options")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        registration = registering.Registration(
            options["name"],
            options["role"],
            self._spec(options),
            options["origin"],
            options["declare"],
            options["published_on"],
        )
        model = registering.register_local(
            self._organisation(user, options["organisation"], RegisteredModel(role=options["role"]).keeper),
            registration,
            options["weights"].resolve(),
            by=user,
        )
        if model.connection_job is not None:
            self.finish(model.connection_job, options)
        model.refresh_from_db()
        answer = {"model": str(model.pk), "name": model.name, "role": model.role, "sha256": model.sha256}
        published = {"published_on": model.published_on.isoformat() if model.published_on else None}
        described = {"format": model.weights_format, "spec": model.spec, "connection": model.connection}
        return answer | published | described | names_seen_by(model, user).to_json()

    def _spec(self, options: dict[str, Any]) -> ModelSpec:
        if options["spec"] is not None:
            try:
                return ModelSpec.from_json(json.loads(options["spec"].read_text(encoding="utf-8")))
            except (OSError, ValueError) as error:
                raise SpecError(f"{options['spec']} cannot be read as JSON.", str(error)) from error
        if not options["architecture"]:
            raise SpecError("Name the --architecture, or give the whole description with --spec.")
        names = ("architecture", "returns", "top_k", "input_size", "mean", "deviation")
        given = {name: options[name] for name in names}
        given["class_names"] = options["class_names"]
        if options["templates"]:
            given["templates"] = options["templates"]
        return ModelSpec.from_json(given)

    def _organisation(self, user: User, name: str | None, keeper: Role) -> Organisation:
        own = user.organisations(keeper)
        if name is not None:
            own = own.filter(name=name)
        if own.count() == 1:
            return own.get()
        if own.exists():
            raise TouchmarkError(
                f"This person has the role {keeper.label} in several organisations; name one with --organisation."
            )
        raise TouchmarkError(f"Only the role {keeper.label} of the organisation may register such a model.")
