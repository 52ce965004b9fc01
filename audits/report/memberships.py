"""How well a model knows what was published and what stayed home by a keyed choice, as a report states and shows it."""

from dataclasses import dataclass
from typing import Any, Literal

from audits.statistics.density import Level
from provenance.wording import p_value, significant

SCORE_NAMES = {
    "density": "density of views",
    "confidence": "confidence",
    "caption": "density to the own caption",
    "omnibus": "the most telling of all scores",
}


@dataclass(frozen=True)
class Membership:
    """One score at one level, with the references taken out where the p with references counts."""

    release: str
    level: Level
    score: Literal["density", "confidence", "caption"]
    published: float  # mean scores
    at_home: float
    auc: float  # chance that a published image scores higher, 0.5 where nothing tells them apart
    z: float
    p: float
    p_lower: float  # of the opposite: those at home known better
    set: int | None = None


def membership_row(found: Membership, level: str, alpha: float) -> list[Any]:
    """Cells of the table."""
    place = found.release if found.set is None else f"{found.release}, set {found.set}"
    numbers = (found.published, found.at_home, found.auc, found.z)
    ps = (p_value(found.p, alpha), p_value(found.p_lower, alpha))
    return [place, level, SCORE_NAMES[found.score], *map(significant, numbers), *ps]
