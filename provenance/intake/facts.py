"""The facts of a manifest, summed up for people and for later jobs."""

from collections import Counter
from typing import Any

from .blocks import Counts

COMMON_SIZES = 20


def summary(
    counts: Counts, files: int, root: str, outcomes: dict[str, int], copies: int, originals: int
) -> dict[str, Any]:
    """facts.json: everything in it follows from the files alone, never from the machine or the day."""
    images = counts.images
    sizes: Counter[tuple[int, int]] = Counter()
    for facts, number in images.items():
        if facts.width:  # else one of too many different sizes
            sizes[facts.width, facts.height] += number
    common = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:COMMON_SIZES]
    return {
        "files": files,
        "root": root,
        "bytes": counts.bytes,
        "smallest_file": counts.smallest or 0,
        "largest_file": counts.largest,
        "refused": outcomes["refused"],
        "skipped": outcomes["skipped"],
        "label_problems": outcomes["label"],
        "formats": _count(images, "format"),
        "modes": _count(images, "mode"),
        "sixteen_bit": sum(n for facts, n in images.items() if facts.bits == 16),
        "rotated": sum(n for facts, n in images.items() if facts.orientation != 1),
        "widths": counts.edges[:2] or [0, 0],
        "heights": counts.edges[2:] or [0, 0],
        "sizes": [[width, height, number] for (width, height), number in common],
        "distinct_sizes": len(sizes),
        "labels": dict(sorted(counts.labels.items())),
        "labelled": counts.labelled,
        "captioned": counts.captions,
        "duplicates": {"copies": copies, "originals": originals},
        **({} if counts.claims is None else {"claims": dict(sorted(counts.claims.items()))}),
    }


def _count(images: Counter[Any], name: str) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for facts, number in images.items():
        totals[getattr(facts, name)] += number
    return dict(sorted(totals.items()))
