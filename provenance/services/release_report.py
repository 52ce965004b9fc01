"""What became of every mark set of a release, in numbers that tell nothing about single images.

What becomes of a marked file: docs/method.md, section 2.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.marks import MarkSettings
from provenance.models import Release
from provenance.services.release_charts import psnr_chart, survival_chart

# Of releases made while files could be written otherwise than like their sources.
OF_UNKNOWN_QUALITY = ("WebP quality 90", "quality 90")  # lossy WebP: nobody can say whether like its source
FIRST_WAYS = ("source", *OF_UNKNOWN_QUALITY)  # any other way wrote better, for the mark


@dataclass(frozen=True)
class SetReport:
    """One mark set of a release that is ready. `facts` are the set's own part of the release's facts."""

    number: int
    mark: MarkSettings
    facts: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.number)

    @property
    def marked(self) -> int:
        return int(self.facts["marked"])

    @property
    def wanted(self) -> int:
        return sum(group["wanted"] for group in self.facts["groups"])

    @property
    def rewritten(self) -> int:
        """Marked files that were written better than their sources, since the mark would not have survived."""
        return sum(count for name, count in self.facts["written_as"].items() if name not in FIRST_WAYS)

    @property
    def of_unknown_quality(self) -> int:
        """Lossy WebP files, written at one quality since none says its own: perhaps better, perhaps worse."""
        return sum(self.facts["written_as"].get(name, 0) for name in OF_UNKNOWN_QUALITY)

    @property
    def as_source(self) -> int:
        return int(self.facts["written_as"].get("source", 0))

    @property
    def passed_over(self) -> list[tuple[str, int]]:
        """How many candidates could not carry the mark, by reason, the commonest first."""
        found: dict[str, int] = self.facts["passed_over"]
        return sorted(found.items(), key=lambda row: (-row[1], row[0]))

    @property
    def no_candidates(self) -> dict[str, int]:
        """How many images could not be candidates of this set, by reason; one may be none of several sets."""
        counts: dict[str, int] = self.facts.get("no_candidates", {})
        return counts

    @property
    def unfilled(self) -> int:
        """Images that the plan wanted and that nobody could give: the key's next draws ran out."""
        return missing_in(self.facts["groups"])

    @property
    def replaced(self) -> int:
        """Images that could not bear the mark and gave their place to the key's next draw."""
        return max(sum(self.facts["passed_over"].values()) - self.unfilled, 0)

    @property
    def psnr(self) -> dict[str, Any]:
        return psnr_chart(self.facts)

    @property
    def survival(self) -> dict[str, Any]:
        return survival_chart(self.facts)


def missing_in(groups: Sequence[Mapping[str, Any]]) -> int:
    """Images wanted and not marked. One group's copies, marked with it beyond what is wanted, fill no other group."""
    return sum(max(group["wanted"] - group["marked"], 0) for group in groups)


def set_reports(release: Release) -> list[SetReport]:
    """One report of each struck set, in their order."""
    pairs = zip(release.key.mark_sets.struck, _parts(release), strict=True)
    return [SetReport(number, mark, own) for number, (mark, own) in enumerate(pairs, 1)]


def _parts(release: Release) -> list[dict[str, Any]]:
    """The facts of every struck set."""
    if not release.key.mark_sets.struck:
        return []
    return release.facts.get("sets") or [release.facts]
