"""What a strength does to some images: marked for trial with a throw-away key, measured, and forgotten."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from provenance.embedding.carried import without_claims
from provenance.embedding.errors import NotCarriedError, NotMarkableError
from provenance.embedding.marking import MarkedImage, mark_image
from provenance.marks import MarkSecret, MarkSettings, family_for

_Marks = Callable[[np.ndarray], MarkedImage]

_PATTERNS = 8  # of associated marks; an image gets one after the other, as groups would
_KEYS = 3  # whose patterns look for an image that carries them
_MORE = 4  # of them an image is tried with, besides its own
_MORE_BYTES = 200_000  # of small images, as many as come to this
_ENOUGH_TRIES = 12  # images before a pattern counts as carried by none


@dataclass(frozen=True)
class Trial:
    """Measures over the images that could be marked. PSNR in dB between each file and its marked copy, both decoded.

    `survival`: mean part of the mark's energy in the written file. `growth`: bytes written over bytes read.
    `passed_over`: how many images could not carry the mark, by reason. `patterns`: of associated marks, those that were
    tried on several images; `carried` of them by one image at least.
    """

    tried: int
    marked: int
    psnr: float = 0.0
    lowest_psnr: float = 0.0
    highest_psnr: float = 0.0
    survival: float = 0.0
    growth: float = 0.0
    passed_over: dict[str, int] = field(default_factory=dict)
    patterns: int = 0
    carried: int = 0

    @property
    def uncarried(self) -> int:
        """Patterns that no image tried with them could carry."""
        return self.patterns - self.carried

    def chance_of_a_bare_group(self, groups: int) -> float:
        """That one of a key's patterns would be carried by no image of its group, which stops a release."""
        return 1 - (self.carried / self.patterns) ** groups if self.patterns else 0.0

    @property
    def share(self) -> float:
        """Of the images tried, those that can carry the mark."""
        return self.marked / self.tried if self.tried else 0.0


def strength_of(mark: MarkSettings) -> MarkSettings:
    """The settings that decide what an image looks like afterwards: without the groups, and whatever is theirs."""
    groups = () if mark.is_plain else tuple(f"group {number}" for number in range(1, _PATTERNS + 1))
    of_images = {"share": 0.1, "clusters": "", "spares": "", "copies": "", "near_duplicates": ""}
    return mark.replace(groups=groups, group_by="class", size_classes=(), forbidden=(), **of_images)


def try_strength(
    images: Iterable[bytes], mark: MarkSettings, seed: bytes, step: Callable[[], None] = lambda: None
) -> Trial:
    """Mark each image under a key that is derived from `seed` and belongs to no release.

    Args: images: files. step: called before every image; may raise to end the work.
    """
    strength = strength_of(mark)
    secret, *more = (_thrown_away(strength, seed, number) for number in range(1, _KEYS + 1))
    family = family_for(strength)
    search = _Search([pattern for one in (secret, *more) for pattern in one.patterns])
    found: list[_Marked] = []
    tried, reasons = 0, Counter[str]()
    for tried, file in enumerate(images, 1):
        step()
        data = without_claims(file)  # what a strength does to a picture hangs on nothing that is carried beside it
        struck = partial(mark_image, data, family, placement=secret.placement(hashlib.sha256(data).hexdigest()))
        outcome = search.on(struck, len(data), tried % len(secret.patterns))
        if isinstance(outcome, NotMarkableError):
            reasons[outcome.sentence] += 1
        else:
            found.append(_Marked(outcome.psnr, outcome.survival, len(data), len(outcome.data)))
    counts: dict[str, Any] = {
        "passed_over": dict(sorted(reasons.items())),
        "patterns": search.patterns,
        "carried": len(search.carried),
    }
    return replace(_measured(found), tried=tried, **counts)


class _Marked(NamedTuple):
    """One marked image: PSNR in dB, survival, bytes read and written."""

    psnr: float
    survival: float
    before: int
    after: int


def _measured(found: Sequence[_Marked]) -> Trial:
    if not found:
        return Trial(0, 0)
    psnrs, survivals, before, after = zip(*found, strict=True)
    return Trial(
        tried=len(found),
        marked=len(found),
        psnr=round(fmean(psnrs), 2),
        lowest_psnr=min(psnrs),
        highest_psnr=max(psnrs),
        survival=round(fmean(survivals), 4),
        growth=round(sum(after) / sum(before), 4),
    )


def _thrown_away(strength: MarkSettings, seed: bytes, number: int) -> MarkSecret:
    """The key of this number, from 1, that belongs to no release."""
    key, beacon = (hashlib.sha256(purpose + seed).digest() for purpose in (b"trial key/", b"trial beacon/"))
    return MarkSecret.derive(key if number == 1 else hashlib.sha256(b"%d/" % number + key).digest(), beacon, strength)


class _Search:
    """Patterns that look for an image which carries them, each on one image after the other until one does."""

    def __init__(self, patterns: Sequence[np.ndarray]) -> None:
        self._patterns = patterns
        self._failures: Counter[int] = Counter()
        self.carried: set[int] = set()

    @property
    def patterns(self) -> int:
        """Those that were carried, or tried on enough images."""
        failed = (number for number, failures in self._failures.items() if failures >= _ENOUGH_TRIES)
        return len(self.carried.union(failed))

    def on(self, mark: _Marks, size: int, first: int) -> MarkedImage | NotMarkableError:
        """What becomes of one pattern in an image of `size` bytes; others are tried after it, the least tried first."""
        outcome = self._tried(mark, first)
        if isinstance(outcome, NotMarkableError) and not isinstance(outcome, NotCarriedError):
            return outcome  # the file's own fault, which says nothing of patterns
        waiting = [number for number in range(len(self._patterns)) if number not in self.carried and number != first]
        waiting.sort(key=lambda number: self._failures[number])
        for number in waiting[: max(_MORE, _MORE_BYTES // size)]:
            self._tried(mark, number)
        return outcome

    def _tried(self, mark: _Marks, number: int) -> MarkedImage | NotMarkableError:
        try:
            marked = mark(self._patterns[number])
        except NotMarkableError as error:
            self._failures[number] += isinstance(error, NotCarriedError)
            return error
        self.carried.add(number)
        return marked
