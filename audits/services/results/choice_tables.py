"""What the result page says about a keyed choice: what every score tells, and what the level rests on."""

from typing import Any

from audits.judging.levels import ChoiceLevel
from provenance import wording

SCORE_NAMES = {
    "density": "Density of views",
    "confidence": "Confidence",
    "caption": "Density to the own caption",
    "omnibus": "The most telling of all",
}


def score_table(level: ChoiceLevel, counting: str) -> dict[str, Any]:
    """Every score with its own test; the p of the one that the plan declares stands in the table of levels."""
    rows = [
        [
            SCORE_NAMES[test.score] + (" (counts)" if test.score == counting else ""),
            wording.significant(test.published),
            wording.significant(test.at_home),
            wording.significant(test.auc),
            wording.significant(test.z),
            wording.p_value(test.p),
            wording.p_value(test.p_lower),
        ]
        for test in level.scores
    ]
    columns = ["Score", "Published", "At home", "AUC", "z", "p", "p of the opposite"]
    return {"columns": columns, "rows": rows, "numeric": ",".join(map(str, range(1, len(columns))))}
