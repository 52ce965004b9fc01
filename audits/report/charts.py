"""Histograms of the permutations' statistic, laid out as fractions of a drawing's width and height."""

import math
from itertools import pairwise
from typing import Any

from audits.report.facts import ReportFacts
from audits.report.results import Histogram
from audits.report.wording import LEVEL_NAMES
from audits.report.words_of_test import TestWords
from provenance import wording
from provenance.wording import significant

MOST_CHARTS = 6  # with more histograms than this, only those of the levels that decide are drawn


def drawn(facts: ReportFacts) -> list[Histogram]:
    """The histograms that the document draws: those of the p that counts; of many, only the deciding levels'."""
    counted = [h for h in facts.histograms if h.references == (facts.plan.counted == "with references")]
    chosen = counted or list(facts.histograms)
    if len(chosen) <= MOST_CHARTS:
        return chosen
    return [histogram for histogram in chosen if histogram.level in facts.plan.deciding]


def chart(histogram: Histogram, words: TestWords) -> dict[str, Any]:
    """What the page draws: bars and ticks as fractions of the width and height, and the same as words and numbers."""
    low = min(histogram.edges[0], histogram.true)
    high = max(histogram.edges[-1], histogram.true)
    width = (high - low) or 1.0
    low, high = low - 0.02 * width, high + 0.02 * width
    most = max(histogram.counts, default=0) or 1

    def at(value: float) -> float:
        return (value - low) / (high - low)

    total = sum(histogram.counts)
    basis = "references set aside" if histogram.references else "without references"
    place = histogram.release if histogram.set is None else f"{histogram.release}, mark set {histogram.set}"
    name = f"{place}, {LEVEL_NAMES[histogram.level]}, {basis}"
    return {
        "name": name,
        "own": words.own,
        "others": words.others,
        "bars": [
            [at(left), at(right), count / most]
            for (left, right), count in zip(pairwise(histogram.edges), histogram.counts, strict=True)
        ],
        "true": at(histogram.true),
        "true_text": significant(histogram.true),
        "ticks": [[at(tick), f"{tick:g}".replace("-", "−")] for tick in _ticks(low, high)],
        "most": f"{wording.count(most)}",
        "alt": (
            f"Histogram for {name}: {wording.count(total)} {words.chances} between "
            f"{significant(histogram.edges[0])} and {significant(histogram.edges[-1])}; "
            f"the {words.own} gives {significant(histogram.true)}."
        ),
        "table": [
            [significant(left), significant(right), f"{wording.count(count)}"]
            for (left, right), count in zip(pairwise(histogram.edges), histogram.counts, strict=True)
        ],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers at 1, 2 or 5 times a power of ten, four to six of them inside [low, high]."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]
