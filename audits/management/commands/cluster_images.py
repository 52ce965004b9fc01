from typing import Any

from django.core.management.base import CommandParser

from audits.models import Clustering, RegisteredModel
from audits.services.clusterings import starting
from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.models import User, Version
from provenance.services.access import get_visible


class Command(TouchmarkCommand):
    help = "Groups the images of a version by an encoder, into clusters of equal size that a release can be marked by."

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("version", help="id of a version that is ready")
        parser.add_argument("--encoder", required=True, help="name or id of a registered encoder")
        parser.add_argument("--clusters", type=int, default=10, help="how many, 4 to 64 (default 10)")
        parser.add_argument("--seed", type=int, default=1)
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        version = get_visible(Version, user, options["version"])
        encoder = self._encoder(user, options["encoder"])
        clustering = starting.start(version, encoder, options["clusters"], by=user, seed=options["seed"])
        assert clustering.job is not None  # noqa: S101
        self.finish(clustering.job, options)
        clustering = Clustering.objects.select_related("clusters").get(pk=clustering.pk)
        answer = {"clustering": str(clustering.pk), "job": str(clustering.job_id), "state": clustering.state}
        kept = clustering.clusters
        if kept is None:
            return answer
        told = {"clusters": kept.digest, "sizes": kept.sizes, "left_out": kept.left_out}
        return answer | told | kept.facts | {"took": clustering.facts}

    def _encoder(self, user: User, wanted: str) -> RegisteredModel:
        encoders = RegisteredModel.objects.for_user(user).filter(role=RegisteredModel.ModelRole.ENCODER)
        found = [encoder for encoder in encoders if wanted in (encoder.name, str(encoder.pk))]
        if len(found) != 1:
            raise TouchmarkError(f"There is no encoder “{wanted}”; register it with register_model --role encoder.")
        return found[0]
