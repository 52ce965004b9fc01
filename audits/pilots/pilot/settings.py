"""What a pilot tries, how often, on how many images and for how long; without importing torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from audits.pilots.checked import Checked, TrainingError, real, whole
from audits.pilots.methods import METHODS, Method, Moco
from audits.pilots.pilot.variations import MOST_VARIATIONS, Variation
from audits.pilots.recipe import TINY_CLIP, TINY_CLIP_NAME, Augmentation, TrainingSettings
from audits.statistics.ranktest import decoys_needed
from provenance.marks import MarkSets, MarkSettings, SettingsError, VersionsSettings, WithheldSettings
from provenance.marks.sets import AnySettings
from provenance.wording import count

MOST_CANDIDATES, MOST_METHODS = 8, 4
LONGEST_TITLE = 100
FEWEST_IMAGES = 40  # of a version
CLIP_SIDE = int(TINY_CLIP["vision_cfg"]["image_size"])


class PilotError(TrainingError):
    """A pilot that cannot be made; the message says what to change."""


@dataclass(frozen=True)
class Proposal:
    """Settings that a release might have. Raises PilotError."""

    title: str
    settings: AnySettings

    def __post_init__(self) -> None:
        if not self.title.strip() or len(self.title) > LONGEST_TITLE:
            raise PilotError(f"Give what is tried a name of 1 to {LONGEST_TITLE} characters.")
        if isinstance(self.settings, VersionsSettings):
            raise PilotError("A pilot tries marks and images at home, not two versions of a picture. Choose others.")

    @property
    def struck(self) -> MarkSettings | None:
        return self.settings if isinstance(self.settings, MarkSettings) else None

    @property
    def is_plain(self) -> bool:
        """Whether one pattern is struck, whose key an audit ranks among decoys."""
        return self.struck is not None and self.struck.is_plain

    @property
    def withheld(self) -> WithheldSettings | None:
        return self.settings if isinstance(self.settings, WithheldSettings) else None

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "settings": self.settings.to_dict()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Proposal:
        """Raises PilotError for what is no proposal."""
        try:
            (settings,) = MarkSets.from_json(value["settings"]).sets
            return cls(str(value["title"]), settings)
        except SettingsError as error:
            raise PilotError(error.sentence) from error
        except (KeyError, TypeError, ValueError) as error:
            raise PilotError("What a pilot tries has a title and the settings of one mark set.") from error


@dataclass(frozen=True)
class Line:
    """One training: of an unmarked twin, or of a suspect that learns from what one key made of one proposal."""

    method: str
    proposal: int | None  # None: a twin
    number: int
    variation: str = ""  # what differs from what is planned

    @property
    def is_twin(self) -> bool:
        return self.proposal is None

    @property
    def varied(self) -> Variation | None:
        """What `variation` says."""
        return Variation.read(self.variation) if self.variation else None

    @property
    def name(self) -> str:
        what = "twin" if self.proposal is None else f"proposal-{self.proposal + 1}"
        varied = re.sub(r"[^a-z0-9]+", "-", f"-{self.variation}") if self.variation else ""
        return f"{self.method}-{what}-{self.number + 1}{varied}"


@dataclass(frozen=True)
class PilotSettings(Checked):
    """Raises TrainingError for values out of range.

    minutes: no training starts that would not end within them. runs: keys for every proposal and method, each with a
    training of its own. references: unmarked twins of every method. images: most that one training learns from.
    decoys: keys that nobody used, among which the true one of a plain mark is ranked; all are asked.
    """

    proposals: tuple[Proposal, ...]
    seed: int = whole(0, 2**53 - 1)
    methods: tuple[str, ...] = ("simclr",)
    minutes: float = real(0.01, 20_000, 60)
    runs: int = whole(1, 40, 3)
    references: int = whole(1, 8, 2)
    images: int = whole(32, 50_000, 10_000)
    epochs: int = whole(1, 10_000, 60)
    batch_size: int = whole(2, 4096, 128)
    learning_rate: float = real(0.000001, 1, 2e-3)
    encoder: str = "small_resnet:16"
    side: int = whole(8, 256, 32)
    alpha: float = real(1e-9, 0.2, 0.001)
    probes: int = whole(2, 5000, 100)
    group_images: int = whole(1, 500, 20)  # of every group
    views: int = whole(2, 64, 10)
    permutations: int = whole(100, 10_000_000, 100_000)
    decoys: int = whole(1, 10_000, 999)
    threads: int = whole(1, 256, 1)
    device: str = "auto"
    variations: tuple[str, ...] = ()
    others: str = ""

    DEVICES: ClassVar[tuple[str, ...]] = ("auto", "cpu")

    def __post_init__(self) -> None:
        object.__setattr__(self, "proposals", tuple(self.proposals))
        object.__setattr__(self, "methods", tuple(self.methods))
        super().__post_init__()
        if not 1 <= len(self.proposals) <= MOST_CANDIDATES:
            raise PilotError(
                f"A pilot tries 1 to {MOST_CANDIDATES} settings: choose strengths of marks, or blocks from which "
                "images stay home, and shares."
            )
        if len({proposal.title for proposal in self.proposals}) < len(self.proposals):
            raise PilotError("Two of the settings have the same name; give each its own.")
        if not 1 <= len(self.methods) <= MOST_METHODS or len(set(self.methods)) < len(self.methods):
            raise PilotError(f"A pilot learns by 1 to {MOST_METHODS} methods, each named once.")
        if unknown := sorted(set(self.methods) - set(METHODS)):
            raise PilotError(f"There is no method {', '.join(unknown)}; there are {', '.join(METHODS)}.")
        if self.device not in self.DEVICES:
            raise PilotError("A pilot runs on the device “cpu”, or “auto”: on a GPU where there is one.")
        if len({one.blocking for one in self.withheld}) > 1:
            raise PilotError("What stays home is chosen from one file of blocks in a pilot; make a second pilot.")
        self.training(Line(self.methods[0], None, 0))  # refuses what cannot be trained
        self._check_variations()
        self._check_decoys()
        for proposal in self.proposals:
            if proposal.struck and proposal.struck.least_edge > self.pixels:
                raise PilotError(
                    f"“{proposal.title}” needs {proposal.struck.least_edge} pixels and the models of this pilot see "
                    f"{self.pixels}; raise the side of the images."
                )

    def _check_decoys(self) -> None:
        """Where a plain mark is tried, its p must be able to come to alpha."""
        if not any(proposal.is_plain for proposal in self.proposals):
            return
        least = decoys_needed(self.alpha, self.references)
        if self.decoys < least:
            raise PilotError(
                f"Among {count(self.decoys)} decoys no plain mark could come to alpha {self.alpha:g}: ask "
                f"{count(least)} or more, or raise alpha."
            )

    def _check_variations(self) -> None:
        object.__setattr__(self, "variations", tuple(dict.fromkeys(self.variations)))
        if len(self.variations) > MOST_VARIATIONS:
            raise PilotError(f"A pilot tries up to {MOST_VARIATIONS} variations.")
        planned = self.methods[0]
        for one in self.varied:
            if one.method == planned:
                raise PilotError("Another method than the first one that is planned shows whether it holds elsewhere.")
            if "clip" in (planned, one.method) and one.kind in ("method", "encoder", "side"):
                raise PilotError("CLIP has its own network and size, so a pilot varies neither; mix other images in.")
            if one.mixed and planned == "supervised":
                raise PilotError("A classifier learns no images of other classes; choose a method that learns without.")
            if one.mixed and not self.others:
                raise PilotError("Name the version whose images are mixed in.")
            self.training(Line(planned, None, 0, str(one)))  # refuses what cannot be trained

    @property
    def varied(self) -> tuple[Variation, ...]:
        return tuple(map(Variation.read, self.variations))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the further labels that probes are fitted to."""
        return tuple(one.value for one in self.varied if one.kind == "task")

    @property
    def pixels(self) -> int:
        """Side of the images that all models see: CLIP has its own."""
        return CLIP_SIDE if "clip" in self.methods else self.side

    @property
    def withheld(self) -> tuple[WithheldSettings, ...]:
        return tuple(proposal.withheld for proposal in self.proposals if proposal.withheld)

    @property
    def looks(self) -> tuple[int, ...]:
        """Epochs after which a model is asked what it knows of its marks or of what stayed home: quarters of the
        training. Not of plain marks, which take too many questions."""
        if all(proposal.is_plain for proposal in self.proposals):
            return ()
        return tuple(sorted({max(1, -(-self.epochs * part // 4)) for part in (1, 2, 3, 4)}))

    def lines(self) -> list[Line]:
        """All trainings in their order, so that one which is cut short has tried everything about equally often."""
        found = []
        for number in range(self.runs):
            for method in self.methods:
                if number == 0:
                    found += [Line(method, None, twin) for twin in range(self.references)]
                found += [Line(method, proposal, number) for proposal in range(len(self.proposals))]
            for one in self.varied:
                if one.is_trained:
                    varied = (
                        Line(self.methods[0], proposal, number, str(one)) for proposal in range(len(self.proposals))
                    )
                    found += varied
        return found

    def training(self, line: Line) -> TrainingSettings:
        """No two lines share a seed, so none begins where another does."""
        varied = line.varied
        method = (varied and varied.method) or line.method
        return TrainingSettings(
            seed=int.from_bytes(self.drawn(f"training {line.name}")[:6], "big"),
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            threads=self.threads,
            method=_method(method, self.batch_size),
            encoder=TINY_CLIP_NAME if method == "clip" else (varied and varied.encoder) or self.encoder,
            side=(varied and varied.side) or self.pixels,
            augmentation=Augmentation(),
        )

    def drawn(self, what: str) -> bytes:
        """32 bytes that follow from the pilot's seed: no key of a release, and of no use to anybody."""
        return hashlib.sha256(f"touchmark/pilot/{self.seed}/{what}".encode()).digest()

    def to_json(self) -> dict[str, Any]:
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return plain | {
            "methods": list(self.methods),
            "variations": list(self.variations),
            "proposals": [proposal.to_json() for proposal in self.proposals],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PilotSettings:
        """Read what ``to_json`` wrote; raises TrainingError."""
        listed: Sequence[Mapping[str, Any]] = value.get("proposals", ())
        return super().from_json({**value, "proposals": tuple(map(Proposal.from_json, listed))})


def _method(name: str, batch_size: int) -> Method:
    """With its usual settings; MoCo's queue is as short as small training sets ask for."""
    return Moco(queue=batch_size) if name == "moco" else METHODS[name]()
