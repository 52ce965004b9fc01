"""A release in numbers that tell nothing about single images, so that whoever sees the release may see them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from provenance.embedding.trying import Outcome
from provenance.intake.manifest import Manifest
from provenance.marks import MarkSets
from provenance.marks.copies import HAS_NEAR_DUPLICATE
from provenance.marks.groups import GroupPlan

PSNR_BIN = 1.0  # dB
SURVIVAL_BIN = 0.05


def release_facts(
    manifest: Manifest,
    marks: MarkSets,
    plans: Sequence[GroupPlan],
    outcomes: Sequence[Sequence[Outcome]],
    unfit: Sequence[Sequence[Mapping[str, int]]],
) -> dict[str, Any]:
    """facts.json: root, counts per group, distributions of PSNR (dB) and survival, how files were written.

    Several struck sets have the same numbers over all of them, without groups, and each its own under "sets".

    Args: plans, outcomes and unfit (for each group, how many images could not be candidates, by reason): one of each
    set, in the order of `marks`.
    """
    whole = [outcome for own in outcomes for outcome in own]
    facts = {"root": manifest.root, "files": len(manifest), "bytes": manifest.facts["bytes"]}
    if len(marks.struck) == 1:
        return {**facts, "settings": marks.to_dict(), **_set_facts(plans[0], whole, unfit[0])}
    if not marks.struck:
        return {**facts, "settings": marks.to_dict(), **_counts(whole), "groups": []}
    sets = [
        {"settings": settings.to_dict(), **_set_facts(plan, own, reasons)}
        for settings, plan, own, reasons in zip(marks.struck, plans, outcomes, unfit, strict=True)
    ]
    return {**facts, "settings": marks.to_dict(), **_counts(whole), "sets": sets}


def version_facts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Of pictures that come in one of two versions: how many they are (blocks of a test), and the files that hold them.

    PSNR and survival are of the versions that are published.
    """
    made = [outcome for outcome in outcomes if outcome.is_marked]
    counted = {name: value for name, value in _counts(outcomes).items() if name != "marked"}
    return {"blocks": len({outcome.old_sha256 for outcome in made}), "images": len(made), **counted}


def _set_facts(plan: GroupPlan, outcomes: Sequence[Outcome], unfit: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    per_group = Counter(outcome.group for outcome in outcomes if outcome.is_marked)
    planned = plan.without([reasons.get(HAS_NEAR_DUPLICATE, 0) for reasons in unfit])
    groups = [
        {"name": group.name, "images": group.images, "wanted": group.marked, "marked": per_group[number]}
        for number, group in enumerate(planned.groups)
    ]
    facts, reasons = {**_counts(outcomes), "groups": groups}, sum(map(Counter, unfit), Counter[str]())
    return {**facts, "no_candidates": dict(sorted(reasons.items()))} if reasons else facts


def _counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    marked = [outcome for outcome in outcomes if outcome.is_marked]
    distributions = (
        {
            "psnr": _distribution([outcome.psnr for outcome in marked], PSNR_BIN),
            "survival": _distribution([outcome.survival for outcome in marked], SURVIVAL_BIN),
        }
        if marked
        else {}
    )
    return {
        "marked": len(marked),
        **distributions,
        "written_as": dict(sorted(Counter(outcome.written_as for outcome in marked).items())),
        "passed_over": dict(sorted(Counter(outcome.reason for outcome in outcomes if outcome.reason).items())),
    }


def _distribution(values: Sequence[float], width: float) -> dict[str, Any]:
    """Quantiles, and a histogram as [lower edge, count] of bins of equal width."""
    low, first, middle, last, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    bins = Counter(math.floor(value / width + 1e-9) for value in values)
    return {
        "minimum": round(float(low), 4),
        "percentile_5": round(float(first), 4),
        "median": round(float(middle), 4),
        "mean": round(float(np.mean(values)), 4),
        "percentile_95": round(float(last), 4),
        "maximum": round(float(high), 4),
        "bin": width,
        "histogram": [[round(n * width, 6), bins[n]] for n in range(min(bins), max(bins) + 1)],
    }
