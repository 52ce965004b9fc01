"""Compares versions that were read by an earlier version of the code, so that nobody who plans has to wait for it."""

from typing import Any

from provenance.management.base import TouchmarkCommand
from provenance.models import Overlap, User, Version
from provenance.services import overlaps


class Command(TouchmarkCommand):
    help = "Find which versions hold the same images, where that is not known yet. Run it once after an upgrade."
    acts_for_a_person = False

    def act(self, user: User, options: dict[str, Any]) -> dict[str, Any]:
        overlaps.compare_all()
        ready = Version.objects.ready()
        return {
            "compared": ready.exclude(compared_at=None).count(),
            "not_compared": overlaps.not_compared().count(),  # their manifest is missing
            "pairs_with_files_in_common": Overlap.objects.count(),
            "pairs_of_the_same_images": Overlap.objects.of_same_images().count(),
        }
