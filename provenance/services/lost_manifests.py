"""Manifests that are lost for good: given up by a person, so that plans need not wait for them for ever.

What the version shares with others can never be found then, so it counts as sharing images with every other version of
its organisation (`provenance.services.overlaps`, docs/method.md, section 6.8). One that is back counts as any other.
"""

from django.db import transaction
from django.utils import timezone

from provenance.errors import TouchmarkError
from provenance.intake.contents import can_be_read
from provenance.models import Role, User, Version
from provenance.services.access import require
from provenance.services.log import record


class LostManifestError(TouchmarkError):
    """A manifest that cannot be given up; the sentence says why."""


def is_lost(version: Version) -> bool:
    """Whether nothing is left of the manifest of a version that has been read."""
    return version.state == Version.State.READY and not can_be_read(version.manifest_folder)


def give_up(version: Version, because: str, *, by: User) -> None:
    """Says for good, or until it is back, that the manifest of a version is lost."""
    organisation = version.dataset.organisation
    require(by, organisation, Role.RIGHTS_HOLDER)
    because = because.strip()[:300]
    if not because:
        raise LostManifestError("Say how the manifest was lost; the reason stays with the version.")
    if version.state != Version.State.READY:
        raise LostManifestError("This version has no manifest yet, so none can be given up.")
    if not is_lost(version):
        raise LostManifestError(
            "The manifest of this version is on the server, so it is not given up. To lock a plan compares it."
        )
    _give_up(version, because, by)


@transaction.atomic
def _give_up(version: Version, because: str, by: User) -> None:
    given_up = Version.objects.ready().filter(pk=version.pk, given_up_at=None)
    # Compared before or not: what it shares with versions that come later can never be found.
    if not given_up.update(given_up_at=timezone.now(), given_up_because=because, compared_at=None):
        raise LostManifestError("The manifest of this version was given up already.")
    version.refresh_from_db()
    record(
        "version.manifest_given_up",
        version,
        organisation=version.dataset.organisation,
        by=by,
        digests={"manifest_root": version.root},
        details={"reason": because},
    )
