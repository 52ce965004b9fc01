"""What single trainings of a pilot showed, as it is stored. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from audits.judging.bases import BASES, Basis
from audits.pilots.pilot.settings import Line, PilotError
from audits.statistics.density import Level

FORMAT = "touchmark/pilot/1"


@dataclass(frozen=True)
class Looks:
    """How marked images look beside their sources, at full size: PSNR in dB over all, SSIM over up to 200 of them."""

    marked: int
    passed_over: int
    psnr: float
    lowest_psnr: float
    ssim: float


@dataclass(frozen=True)
class LevelFound:
    """What an audit of one model says at one level, or by one score of it.

    p: with the unmarked twins as references, where there are some. auc: chance that a published image scores higher
    than one at home; None for marks and for the omnibus. wrong_key: p of a key that nobody used, where one was asked
    about.
    """

    p: float
    p_without: float
    z: float
    smallest_p: float
    auc: float | None = None
    wrong_key: float | None = None


@dataclass(frozen=True)
class LineFound:
    """One training and, for a suspect, its audit.

    curve: loss and part of neighbours of the same class by epoch, from 1. nearest, linear: accuracies on images that
    nobody learnt from. marked: images that were marked, or units that stayed home; wanted: as many as of the release.
    aucs: of what stayed home, by level and epoch. grown: z of associated marks, likewise, without references. tasks:
    levels with probes for other labels.
    """

    line: Line
    seconds: float
    images: int
    curve: tuple[Mapping[str, float], ...]
    nearest: float | None = None
    linear: float | None = None
    levels: Mapping[Basis, LevelFound] = field(default_factory=dict)
    reasons: Mapping[Level, str] = field(default_factory=dict)
    queries: int = 0
    marked: int = 0
    wanted: int = 0
    looks: Looks | None = None
    aucs: Mapping[Basis, Mapping[int, float]] = field(default_factory=dict)
    grown: Mapping[Basis, Mapping[int, float]] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[Basis, LevelFound]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LineFound:
        """Read what ``to_json`` wrote, through JSON or not. Raises PilotError."""
        try:
            levels = _levels(value["levels"])
            tasks = {name: _levels(of_task) for name, of_task in value.get("tasks", {}).items()}
            by_epoch = {"aucs": _by_epoch(value["aucs"]), "grown": _by_epoch(value.get("grown", {}))}
            looks = None if value["looks"] is None else Looks(**value["looks"])
            own = {"line": Line(**value["line"]), "levels": levels, "looks": looks, "tasks": tasks} | by_epoch
            return cls(**{**value, **own, "curve": tuple(value["curve"])})
        except (KeyError, TypeError, ValueError) as error:
            raise PilotError("This is not what a training of a pilot showed.", repr(error)) from error


def _levels(value: Mapping[str, Any]) -> dict[Basis, LevelFound]:
    return {basis: LevelFound(**value[basis]) for basis in BASES if basis in value}


def _by_epoch(value: Mapping[str, Mapping[str, float]]) -> dict[Basis, dict[int, float]]:
    found = {basis: value[basis] for basis in BASES if basis in value}
    return {basis: {int(epoch): float(number) for epoch, number in one.items()} for basis, one in found.items()}


@dataclass(frozen=True)
class PilotFound:
    """All trainings that were made, in their order, and the names of those for which no time was left.

    images: that an unmarked twin learnt from; of: in the version; apart: kept from all models. learnt_from: SHA-256
    over the content digests of the images that a twin learnt from, in order; "" in pilots of earlier versions.
    """

    lines: tuple[LineFound, ...]
    missing: tuple[str, ...]
    images: int
    of: int
    apart: int
    device: str
    learnt_from: str = ""

    def to_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("images", "of", "apart", "device", "learnt_from")}
        return {
            "format": FORMAT,
            "lines": [one.to_json() for one in self.lines],
            "missing": list(self.missing),
            **plain,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PilotFound:
        """Raises PilotError."""
        if value.get("format") != FORMAT:
            raise PilotError("This is not what a pilot of this version of the program found; make it anew.")
        rest = {name: item for name, item in value.items() if name != "format"}
        try:
            lines = tuple(LineFound.from_json(one) for one in rest["lines"])
            return cls(**{**rest, "lines": lines, "missing": tuple(rest["missing"])})
        except (KeyError, TypeError) as error:
            raise PilotError("What this pilot found cannot be read; make it anew.", repr(error)) from error
