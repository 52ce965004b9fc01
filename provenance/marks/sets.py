"""The mark sets of one release: one, or several with secrets of their own whose tests are combined."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.canonical import canonical_json
from provenance.marks.cluster_files import InFolder, grouped_entries
from provenance.marks.copies import pictures_of
from provenance.marks.errors import SettingsError
from provenance.marks.reach import check_reach
from provenance.marks.secret import GroupCandidates, MarkSecret
from provenance.marks.settings import MarkSettings, settings_object

MOST_SETS = 4


@dataclass(frozen=True)
class MarkSets:
    """What is struck into one release: 1 to 4 mark sets in their order, no image in more than one of them.

    Every set has purposes of its own, so that their tests can be combined (docs/method.md, section 7). Raises
    SettingsError from the constructor and from `from_json`.
    """

    sets: tuple[MarkSettings, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sets", tuple(self.sets))
        if not 1 <= len(self.sets) <= MOST_SETS:
            raise SettingsError(f"A release has between 1 and {MOST_SETS} mark sets.")
        if len({(one.copies, one.near_duplicates) for one in self.sets}) > 1:
            raise SettingsError("All mark sets of a release treat exact copies and near-duplicates in the same way.")

    def __iter__(self) -> Iterator[MarkSettings]:
        return iter(self.sets)

    def __len__(self) -> int:
        return len(self.sets)

    def to_dict(self) -> dict[str, Any]:
        """A JSON object: that of the only set, or a list of them under "sets"."""
        if len(self.sets) == 1:
            return self.sets[0].to_dict()
        return {"sets": [settings.to_dict() for settings in self.sets]}

    def to_json(self) -> str:
        """Canonical JSON, as it enters the commitment."""
        return canonical_json(self.to_dict()).decode("utf-8")

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> "MarkSets":
        """From one set's object, or from {"sets": [...]}."""
        source = settings_object(source)
        if "sets" not in source:
            return cls((MarkSettings.from_json(source),))
        if set(source) != {"sets"} or not isinstance(source["sets"], list | tuple):
            raise SettingsError("Several mark sets are a list under the name 'sets', with nothing beside it.")
        return cls(tuple(MarkSettings.from_json(one) for one in source["sets"]))

    def replace_in_all(self, **changes: Any) -> "MarkSets":
        """The same sets, with these settings in every one of them."""
        return MarkSets(tuple(one.replace(**changes) for one in self.sets))

    def derive(self, key: bytes, beacon: bytes) -> tuple[MarkSecret, ...]:
        """The secrets of all sets."""
        return tuple(MarkSecret.derive(key, beacon, one, number) for number, one in enumerate(self.sets))

    def check_reach(self, alpha: float) -> None:
        """Refuses a set whose own test could not come to `alpha`: it would only weaken the others."""
        for one in self.sets:
            check_reach(one, alpha)


def candidates_of_sets(
    secrets: Sequence[MarkSecret], manifest: InFolder, counts: Sequence[Sequence[int]]
) -> list[list[GroupCandidates]]:
    """The candidates of every set of one release, in order; no image is a candidate of two sets.

    Args:
        manifest: gone through once for each set, three times where it has exact copies. counts: for every set, the
        images of its groups.
    """
    found: list[list[GroupCandidates]] = []
    taken: set[int] = set()
    pictures = pictures_of(manifest, secrets[0].settings)
    for secret, own in zip(secrets, counts, strict=True):
        entries = grouped_entries(manifest, secret.settings)
        found.append(secret.candidates(entries, own, taken, len(secrets), pictures))
        taken |= {image.position for group in found[-1] for image in group.images}
    return found
