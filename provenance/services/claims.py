"""What the images of a version or release claim beside their pictures, in words for pages and commands."""

from collections.abc import Mapping
from dataclasses import dataclass

from provenance.intake.blocks import ANY_CLAIM
from provenance.intake.claims import Claim
from provenance.models import Release, Version


@dataclass(frozen=True)
class CountedClaims:
    """images: those that claim anything. kinds: (what, images that carry it), each image under all that it carries."""

    images: int
    kinds: tuple[tuple[str, int], ...]


def claims_of_version(version: Version) -> CountedClaims | None:
    """As counted when its files were read; None for versions that were registered before claims were counted."""
    counted: Mapping[str, int] | None = version.facts.get("claims")
    return None if counted is None else _counted(counted)


def claims_dropped(release: Release) -> CountedClaims | None:
    """From how many files of a release that is ready; None where its owner did not choose to drop any."""
    dropped: Mapping[str, int] | None = release.facts.get("claims_dropped")
    return None if dropped is None else _counted(dropped)


def _counted(counts: Mapping[str, int]) -> CountedClaims:
    kinds = tuple((claim.noun, counts[claim]) for claim in Claim if claim in counts)
    return CountedClaims(counts.get(ANY_CLAIM, 0), kinds)
