"""What other parts of the program measured about how surely the settings of a release would be found.

They register how to ask them, as kinds of jobs do; nothing here knows who they are.
"""

from collections.abc import Callable

from provenance.marks import MarkSets
from provenance.models import Version

Forecast = Callable[[Version, MarkSets], list[str]]

_FORECASTS: list[Forecast] = []


def tells_of_releases(forecast: Forecast) -> Forecast:
    """Registers a function that says in sentences what was measured for these settings of a version."""
    _FORECASTS.append(forecast)
    return forecast


def forecasts_of_release(version: Version, marks: MarkSets) -> list[str]:
    """All sentences of all that were registered."""
    return [sentence for forecast in _FORECASTS for sentence in forecast(version, marks)]
