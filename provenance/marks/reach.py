"""Which alpha the test of a mark could come to, whatever a model does."""

import math

from provenance.marks.errors import SettingsError
from provenance.marks.settings import MAX_GROUPS, MarkSettings
from provenance.marks.versions import VersionsSettings
from provenance.marks.withheld import WithheldSettings
from provenance.wording import count, p_value

LEAST_PLAIN_ALPHA = 1e-4
FEWEST_BLOCKS = 20  # fewer leave a test to luck: even a model that knows three of four published images shows little


def check_reach(settings: MarkSettings, alpha: float) -> None:
    """Refuses settings whose test could not come to `alpha`, whatever a model does.

    Raises SettingsError with a reason and what to choose instead.
    """
    if not 0 < alpha <= 0.1:
        raise SettingsError("Alpha lies above 0 and at most at 0.1; 0.01 is usual.")
    if settings.is_plain:
        if alpha < LEAST_PLAIN_ALPHA:
            raise SettingsError(
                f"An alpha below {LEAST_PLAIN_ALPHA:g} would take more than 10,000 decoy keys. "
                "Choose a larger alpha, or associated marks."
            )
        return
    if settings.smallest_p > alpha:
        if settings.restriction is not None:
            raise SettingsError(
                f"The smallest p that these size classes and bans allow is {p_value(settings.smallest_p)}, above the "
                f"alpha of {alpha:g}. Use fewer size classes, or forbid less."
            )
        groups = len(settings.groups)
        enough = next(count for count in range(groups, MAX_GROUPS + 1) if 1 / math.factorial(count) <= alpha)
        raise SettingsError(
            f"With {groups} groups the smallest reachable p is 1 / {groups}! = {p_value(settings.smallest_p)}, "
            f"above the alpha of {alpha:g}. Choose at least {enough} groups."
        )


def check_choice(settings: WithheldSettings, blocks: int, there: int, alpha: float | None = None) -> None:
    """Refuses a withheld set of which no test could be made, or none that could come to `alpha`.

    blocks: that the key would use. there: that the version has. Raises SettingsError that says what would do.
    """
    if alpha is not None and not 0 < alpha <= 0.1:
        raise SettingsError("Alpha lies above 0 and at most at 0.1; 0.01 is usual.")
    reach = 1 if alpha is None else math.ceil(math.log(1 / alpha) / math.log(settings.block_size) - 1e-9)
    needed = max(FEWEST_BLOCKS, reach)
    if blocks >= needed:
        return
    if there >= needed:
        remedy = f"A share of {_rounded_up(settings.share * needed / blocks):.2g} would use {count(needed)}."
        if settings.share * needed / blocks > 1 / settings.block_size:
            remedy = "Make smaller blocks, so that a larger share may stay home."
    else:
        remedy = "Make smaller blocks, units of fewer images, or withhold from a larger version."
    raise SettingsError(
        f"The key would use {count(blocks)} of {count(there)} blocks, and a test needs {count(needed)} or more: with "
        f"fewer the smallest p is {p_value(settings.smallest_p(blocks))} or hardly any model would reach it. {remedy}"
    )


def check_versions(settings: VersionsSettings, images: int, alpha: float | None = None) -> None:
    """Refuses a set of versions of which no test could be made, or none that could come to `alpha`.

    images: that are to come in one of two versions. Raises SettingsError that says what would do.
    """
    if alpha is not None and not 0 < alpha <= 0.1:
        raise SettingsError("Alpha lies above 0 and at most at 0.1; 0.01 is usual.")
    needed = max(FEWEST_BLOCKS, 1 if alpha is None else math.ceil(math.log2(1 / alpha) - 1e-9))
    if images < needed:
        raise SettingsError(
            f"{count(images)} images would come in one of two versions, and a test needs {count(needed)} or more. "
            "Choose a larger share, or a larger version."
        )


def _rounded_up(share: float) -> float:
    return math.ceil(share * 1000) / 1000
