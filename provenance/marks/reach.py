"""Which alpha the test of a mark could come to, whatever a model does."""

import math

from provenance.marks.errors import SettingsError
from provenance.marks.settings import MAX_GROUPS, MarkSettings
from provenance.wording import p_value

LEAST_PLAIN_ALPHA = 1e-4


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
