"""Register a dataset, or a further version of one, from a folder or archive on this machine."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from provenance.errors import TouchmarkError
from provenance.management.base import TouchmarkCommand
from provenance.models import Dataset, Organisation, Role, User, Version
from provenance.services import datasets


class Command(TouchmarkCommand):
    help = __doc__ or ""

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="folder or archive below one of TOUCHMARK_SERVER_ROOTS")
        parser.add_argument("--name", required=True, help="name of the dataset; an existing one gets a new version")
        parser.add_argument("--organisation", help="its owner, where the person is rights-holder of several")
        parser.add_argument("--modality", choices=Dataset.Modality.values, default=Dataset.Modality.IMAGES)
        parser.add_argument("--licence", default="")
        parser.add_argument("--contact", default="")
        parser.add_argument("--description", default="")
        parser.add_argument("--labels", choices=Version.Labels.values, default=Version.Labels.NONE)
        parser.add_argument("--labels-file", default="labels.csv", help="CSV inside the source, for --labels csv")
        self.add_waiting(parser)

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        organisation = self._organisation(user, options["organisation"])
        source = datasets.VersionSource(
            server_path=str(options["path"].absolute()),
            labels=Version.Labels(options["labels"]),
            labels_file=options["labels_file"],
        )
        known = Dataset.objects.filter(organisation=organisation, name=options["name"].strip()).first()
        if known:
            version = datasets.add_version(known, source, by=user)
        else:
            about = {name: options[name] for name in ("name", "modality", "licence", "contact", "description")}
            version = datasets.register(organisation, source=source, by=user, **about)
        if version.job:
            self.finish(version.job, options)
        version.refresh_from_db()
        return {
            "dataset": str(version.dataset_id),
            "version": str(version.pk),
            "number": version.number,
            "state": version.state,
            "job": str(version.job_id),
            "root": version.root,
            "files": version.file_count,
            "refused": version.refused_count,
        }

    @staticmethod
    def _organisation(user: User, name: str | None) -> Organisation:
        mine = user.organisations(Role.RIGHTS_HOLDER)
        if name:
            mine = mine.filter(name=name)
        if not mine:
            where = f" of {name}" if name else ""
            raise TouchmarkError(f"{user.username} is not a rights-holder{where}.")
        if len(mine) > 1:
            raise TouchmarkError(
                f"{user.username} is rights-holder of several organisations; name one: --organisation."
            )
        return mine[0]
