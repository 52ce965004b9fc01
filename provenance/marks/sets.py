"""The mark sets of one release: one, or several with secrets of their own whose tests are combined."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provenance.canonical import canonical_json
from provenance.marks.blocking_file import ImageBlocks
from provenance.marks.cluster_files import InFolder, grouped_entries
from provenance.marks.copies import pictures_of
from provenance.marks.errors import SettingsError
from provenance.marks.keyed_choice import KeyedChoice, choose
from provenance.marks.reach import check_reach
from provenance.marks.secret import GroupCandidates, MarkSecret
from provenance.marks.settings import MarkSettings, settings_object
from provenance.marks.versions import VERSIONS, VersionSecret, VersionsSettings
from provenance.marks.withheld import WITHHELD, WithheldSettings

MOST_SETS = 4

ChoiceSettings = WithheldSettings | VersionsSettings  # of a keyed choice
AnySettings = MarkSettings | ChoiceSettings


@dataclass(frozen=True)
class MarkSets:
    """What makes one release's copy its own: 1 to 4 mark sets in their order, no image in more than one of them.

    Most are struck into images; one may be a keyed choice, and it stands last: some images stay home, or pictures come
    in one of two versions. Every set has purposes of its own, so that their tests can be combined (docs/method.md,
    section 7). Raises SettingsError from the constructor and from `from_json`.
    """

    sets: tuple[AnySettings, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "sets", tuple(self.sets))
        if not 1 <= len(self.sets) <= MOST_SETS:
            raise SettingsError(f"A release has between 1 and {MOST_SETS} mark sets.")
        kinds = [type(one) for one in self.sets if not isinstance(one, MarkSettings)]
        if kinds.count(WithheldSettings) > 1:
            raise SettingsError("A release withholds one set of images at most: raise its share instead.")
        if len(kinds) > 1:
            raise SettingsError("A release makes one keyed choice: images that stay home, or versions, not both.")
        if any(not isinstance(one, MarkSettings) for one in self.sets[:-1]):
            raise SettingsError("The withheld set stands behind all that are struck into images.")
        if len({(one.copies, one.near_duplicates) for one in self.struck}) > 1:
            raise SettingsError("All mark sets of a release treat exact copies and near-duplicates in the same way.")

    def __iter__(self) -> Iterator[AnySettings]:
        return iter(self.sets)

    def __len__(self) -> int:
        return len(self.sets)

    @property
    def struck(self) -> tuple[MarkSettings, ...]:
        """The sets that are struck into images; numbered alike among all sets."""
        return tuple(one for one in self.sets if isinstance(one, MarkSettings))

    @property
    def choice(self) -> ChoiceSettings | None:
        """The keyed choice, of either kind, where there is one."""
        last = self.sets[-1]
        return None if isinstance(last, MarkSettings) else last

    @property
    def withheld(self) -> WithheldSettings | None:
        """The set of which a part stays home, where there is one."""
        return self.choice if isinstance(self.choice, WithheldSettings) else None

    @property
    def versions(self) -> VersionsSettings | None:
        """The set of pictures that come in one of two versions, where there is one."""
        return self.choice if isinstance(self.choice, VersionsSettings) else None

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
            return cls((_set_from_json(source),))
        if set(source) != {"sets"} or not isinstance(source["sets"], list | tuple):
            raise SettingsError("Several mark sets are a list under the name 'sets', with nothing beside it.")
        return cls(tuple(_set_from_json(one) for one in source["sets"]))

    def replace_in_struck(self, **changes: Any) -> "MarkSets":
        """The same sets, with these settings in every one that is struck into images."""
        return MarkSets(tuple(one.replace(**changes) if isinstance(one, MarkSettings) else one for one in self.sets))

    def derive(self, key: bytes, beacon: bytes) -> tuple[MarkSecret, ...]:
        """The secrets of all sets that are struck into images."""
        return tuple(MarkSecret.derive(key, beacon, one, number) for number, one in enumerate(self.struck))

    def choose(self, key: bytes, beacon: bytes, blocks: ImageBlocks) -> KeyedChoice | None:
        """What stays home of the withheld set; None where there is none. blocks: those that its settings name."""
        settings = self.withheld
        return choose(key, beacon, settings, blocks, len(self.sets) - 1) if settings else None

    def choose_versions(self, key: bytes, beacon: bytes) -> VersionSecret | None:
        """Which version of every picture stays home; None where there is no such set."""
        settings = self.versions
        return VersionSecret.derive(key, beacon, settings, len(self.sets) - 1) if settings else None

    def check_reach(self, alpha: float) -> None:
        """Refuses a struck set whose own test could not come to `alpha`: it would only weaken the others."""
        for one in self.struck:
            check_reach(one, alpha)


def _set_from_json(source: Any) -> AnySettings:
    source = settings_object(source)
    kind = source.get("kind")
    if kind is None:
        return MarkSettings.from_json(source)
    if kind == VERSIONS:
        return VersionsSettings.from_json(source)
    if kind != WITHHELD:
        raise SettingsError(f"There is no kind of mark set '{kind}'.")
    return WithheldSettings.from_json(source)


def candidates_of_sets(
    secrets: Sequence[MarkSecret],
    manifest: InFolder,
    counts: Sequence[Sequence[int]],
    in_choice: Collection[int] = (),
) -> list[list[GroupCandidates]]:
    """The candidates of every struck set of one release, in order; no image is a candidate of two sets.

    Args:
        manifest: gone through once for each set, three times where it has exact copies. counts: for every set, the
        images of its groups. in_choice: positions of all images of the release's keyed choice, at home or published.
    """
    found: list[list[GroupCandidates]] = []
    if not secrets:
        return found
    taken = set(in_choice)
    pictures = pictures_of(manifest, secrets[0].settings)
    for secret, own in zip(secrets, counts, strict=True):
        entries = grouped_entries(manifest, secret.settings)
        found.append(secret.candidates(entries, own, taken, len(secrets), pictures))
        taken |= {image.position for group in found[-1] for image in group.images}
    return found
