"""Keyed choices of releases: what a withheld set would leave home, and what a key chose."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from provenance.marks import ImageBlocks, KeyedChoice, SettingsError, WithheldSettings
from provenance.marks.blocking_file import read_blocking
from provenance.marks.reach import check_choice
from provenance.models import Blocking, Release, Version
from provenance.services.keys import open_choice
from provenance.services.version_choices import positions_of_versions

DEVIATIONS = 4  # by which a group may hold more of a choice than its share
POWER = 0.8


@dataclass(frozen=True)
class ChoicePlan:
    """What a withheld set would leave home of a version, before any key is drawn.

    images: of the version. in_blocks: images that stand in a block.
    """

    settings: WithheldSettings
    images: int
    units: int
    blocks_there: int
    in_blocks: int

    @property
    def blocks(self) -> int:
        """Blocks that the key uses; a unit of each stays home."""
        return self.settings.blocks_used(self.images, self._alternatives, self.in_blocks)

    @property
    def unit_size(self) -> float:
        """Images of an alternative, on average."""
        return self.in_blocks / self._alternatives if self._alternatives else 0.0

    @property
    def at_home(self) -> int:
        """Images that stay home, on average over keys; the very number where every unit is one image."""
        return round(self.blocks * self.unit_size)

    @property
    def share(self) -> float:
        return self.at_home / self.images

    @property
    def is_limited(self) -> bool:
        """Whether there are too few blocks for the share that was asked for."""
        return self.blocks == self.blocks_there and self.share < 0.95 * self.settings.share

    @property
    def smallest_p(self) -> float:
        return self.settings.smallest_p(self.blocks)

    def chance_needed(self, alpha: float) -> float:
        """How often a published image must score above one at home, for a test at alpha to find a model with POWER.

        For normal scores of one variance, with all published images of the blocks to compare with.
        """
        size, normal = self.settings.block_size, NormalDist()
        effect = (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER)) / math.sqrt(self.blocks * (size - 1) / size)
        return normal.cdf(effect / math.sqrt(2))

    def reserved(self, images: int) -> int:
        """At most so many of a group's images stand in blocks that are used, but for one key in some 30,000.

        How many of a group's blocks are used follows the hypergeometric law.
        """
        of_block = self.settings.block_size * self.unit_size
        mean = images * self.blocks * of_block / self.images
        used, rest = self.blocks / self.blocks_there, max(1 - images / self.images, 0)
        spread = of_block * math.sqrt(images / of_block * used * (1 - used) * rest)
        return min(images, math.ceil(mean + DEVIATIONS * spread - 1e-9))

    @property
    def _alternatives(self) -> int:
        return self.blocks_there * self.settings.block_size


def plan_choice(version: Version, settings: WithheldSettings, alpha: float | None = None) -> ChoicePlan:
    """What these settings would leave home. Raises SettingsError where no test could be made of it, or none that could
    come to `alpha`.
    """
    row = version.blockings.filter(digest=settings.blocking).first()
    if row is None:
        raise SettingsError("The blocks belong to another version. Make blocks of this one.")
    plan = plan_from(row, settings)
    check_choice(settings, plan.blocks, plan.blocks_there, alpha)
    return plan


def plan_from(row: Blocking, settings: WithheldSettings) -> ChoicePlan:
    """The same without questions, from the counts of the blocks."""
    if row.block_size != settings.block_size:
        raise SettingsError(f"These blocks have {row.block_size} alternatives; the settings say {settings.block_size}.")
    return ChoicePlan(settings, row.version.file_count, row.units, row.blocks, row.images_in_blocks)


def blocks_of(version: Version, settings: WithheldSettings) -> ImageBlocks:
    """The blocks that a withheld set chooses from. Raises BlockingFileError."""
    return read_blocking(version.folder, settings.blocking, version.file_count)


def keyed_choice(release: Release) -> KeyedChoice:
    """What the key of a release chose: a secret, for jobs alone. Raises as `blocks_and_choice` does."""
    return blocks_and_choice(release)[1]


def images_in_choice(release: Release) -> frozenset[int]:
    """Positions of all images of a release's keyed choice, published and at home: no other test may ask about one.

    Those of its versions, too. Empty where it makes no choice. A secret; raises as `blocks_and_choice` does.
    """
    if release.key.mark_sets.versions is not None:
        return positions_of_versions(release)
    if release.key.mark_sets.withheld is None:
        return frozenset()
    blocks, choice = blocks_and_choice(release)
    return frozenset(choice.images(blocks).tolist())


def blocks_and_choice(release: Release) -> tuple[ImageBlocks, KeyedChoice]:
    """The blocks, and what the key of a release chose among them.

    Raises SettingsError where it withholds nothing, BlockingFileError, and KeyStateError as `open_secrets` does.
    """
    settings = release.key.mark_sets.withheld
    blocks = blocks_of(release.version, settings) if settings else None
    choice = open_choice(release.key, blocks) if blocks else None
    if blocks is None or choice is None:
        raise SettingsError("No image of this release stayed home: its copy holds every image of its version.")
    return blocks, choice
