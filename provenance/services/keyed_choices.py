"""Keyed choices of releases: the blocks that a withheld set names, and what a key chose among them."""

from provenance.errors import TouchmarkError
from provenance.marks import ImageBlocks, KeyedChoice, WithheldSettings
from provenance.marks.blocking_file import read_blocking
from provenance.models import Release, Version
from provenance.services.keys import open_choice


class NoChoiceError(TouchmarkError):
    """The release has no keyed choice."""


def blocks_of(version: Version, settings: WithheldSettings) -> ImageBlocks:
    """The blocks that a withheld set chooses from. Raises BlockingFileError."""
    return read_blocking(version.folder, settings.blocking, version.file_count)


def keyed_choice(release: Release) -> KeyedChoice:
    """What the key of a release chose: a secret, for jobs alone.

    Raises NoChoiceError where it withholds nothing, BlockingFileError, and KeyStateError as `open_secrets` does.
    """
    return _chosen(release)[1]


def images_in_choice(release: Release) -> frozenset[int]:
    """Positions of all images of a release's keyed choice, published and at home: no other test may ask about one.

    Empty where it withholds nothing. A secret; raises as `keyed_choice` does.
    """
    if release.key.mark_sets.withheld is None:
        return frozenset()
    blocks, choice = _chosen(release)
    return frozenset(choice.images(blocks).tolist())


def _chosen(release: Release) -> tuple[ImageBlocks, KeyedChoice]:
    settings = release.key.mark_sets.withheld
    blocks = blocks_of(release.version, settings) if settings else None
    choice = open_choice(release.key, blocks) if blocks else None
    if blocks is None or choice is None:
        raise NoChoiceError("No image of this release stayed home: its copy holds every image of its version.")
    return blocks, choice
