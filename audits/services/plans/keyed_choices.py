"""What a plan knows of a keyed choice without a key: how many blocks there are, and what follows."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audits.planning.exposure import blocks_kept, places_asked
from audits.services.plans.values import PlanError, PlanValues, choice_of
from audits.statistics.choices import MOST_BLOCKS
from audits.statistics.looks import shares
from audits.statistics.power import power_of_choice
from provenance.errors import TouchmarkError
from provenance.marks import VersionsSettings
from provenance.marks.blocking_file import read_blocking
from provenance.models import Release
from provenance.wording import count, p_value

RANDOM_CHOICES = 100_000  # that an omnibus over several scores is compared with
COVARIATES = 5  # of the pictures, taken out of every score
LEAST_P = 1e-300
SHOWN_AUCS = (0.52, 0.55, 0.6, 0.7)
OMNIBUS = "omnibus"


@dataclass(frozen=True)
class Power:
    """Chance that this plan finds a copy in a model that tells what was published from what stayed home this well."""

    auc: float
    power: float


def blocks_used(release: Release) -> int:
    """How many blocks the key chose in; which alternative it chose does not enter. 0 without a keyed choice.

    Of a withheld set the number follows from its settings, of versions from how many pictures could be written in both.
    """
    settings = choice_of(release)
    if settings is None:
        return 0
    if isinstance(settings, VersionsSettings):
        return int(release.facts["versions"]["blocks"])
    blocks, alternatives, files = _counted(str(release.version.folder), settings.blocking, release.version.file_count)
    if blocks == 0:
        return 0
    return settings.blocks_used(release.version.file_count, alternatives, files)


@lru_cache(maxsize=64)
def _counted(folder: str, digest: str, images: int) -> tuple[int, int, int]:
    """Blocks, alternatives and files of a file that never changes; a forecast moves with every keystroke."""
    try:
        blocks = read_blocking(Path(folder), digest, images)
    except TouchmarkError as error:
        raise PlanError(error.sentence) from error
    return blocks.blocks, int(blocks.alternatives.size), blocks.files


def blocks_asked(values: PlanValues, release: Release) -> int:
    """How many of them this plan asks about: all that are not kept for a second audit, or these."""
    return len(places_asked(blocks_used(release), values.kept_share, values.asks_kept))


def passes_of_choice(values: PlanValues, release: Release) -> int:
    """Forward passes of one model."""
    settings = choice_of(release)
    return blocks_asked(values, release) * settings.block_size * values.views if settings else 0


def smallest_p_of_choice(values: PlanValues, release: Release) -> float:
    """Least p of its test, for the suspect as for a reference; an omnibus is no finer than its random choices."""
    return _smallest_p(values, release, blocks_asked(values, release))


def _smallest_p(values: PlanValues, release: Release, blocks: int) -> float:
    settings = choice_of(release)
    if settings is None:
        return 1.0
    exact = max(settings.smallest_p(blocks), LEAST_P)
    least = max(exact, 1 / (RANDOM_CHOICES + 1)) if values.membership_score == OMNIBUS else exact
    return min(1.0, least / shares(values.looks)[-1])


def most_references_of_choice(values: PlanValues, release: Release) -> int:
    """How many references leave something of the scores: differences within blocks, less the covariates."""
    settings = choice_of(release)
    free = blocks_asked(values, release) * (settings.block_size - 1) if settings else 0
    return free - COVARIATES - 1


def check_blocks(release: Release) -> None:
    """Raises PlanError where the file of blocks is gone, or there are more blocks than a test takes."""
    if (found := blocks_used(release)) > MOST_BLOCKS:
        raise PlanError(
            f"The key of the release for {release.recipient} chose in {count(found)} blocks, and a test takes at most "
            f"{count(MOST_BLOCKS)}."
        )


def check_parts(values: PlanValues) -> None:
    """Raises PlanError where blocks are kept of which no second audit could be made, or too few are left for this one.

    Both parts must come to alpha by themselves, before any correction.
    """
    if values.asks_kept and not values.kept_share:
        raise PlanError("A second audit asks about blocks that were kept: name the share that the earlier plan kept.")
    if not values.kept_share:
        return
    if len(values.releases) > 1:
        raise PlanError(
            "Blocks can be kept for a second audit of one copy only: another copy of this version would ask about the "
            "same images. Choose one release, or keep no blocks."
        )
    for release in values.releases:
        blocks = blocks_used(release)
        kept = blocks_kept(blocks, values.kept_share)
        for which, part in (("kept", kept), ("left to ask about", blocks - kept)):
            if _smallest_p(values, release, part) > values.alpha:
                raise PlanError(
                    f"With a share of {values.kept_share:g}, {count(part)} of {count(blocks)} blocks "
                    f"{'is' if part == 1 else 'are'} {which}, too few for any p to come to alpha, "
                    f"{p_value(values.alpha)}. Choose another share, or 0 to ask about all of them now."
                )


def powers(values: PlanValues, alpha: float) -> tuple[Power, ...]:
    """By how well a model tells what was published from the rest; of the weakest release. alpha: of one test."""
    found = [(blocks_asked(values, r), s.block_size) for r in values.releases if (s := choice_of(r)) is not None]
    if not found or not 0 < alpha < 1 or min(blocks for blocks, _ in found) == 0:
        return ()
    return tuple(
        Power(auc, min(power_of_choice(blocks, size, auc, alpha) for blocks, size in found)) for auc in SHOWN_AUCS
    )
