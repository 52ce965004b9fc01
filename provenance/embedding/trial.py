"""What a strength does to some images: marked for trial with a throw-away key, measured, and forgotten."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean

from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, family_for

_PATTERNS = 8  # of associated marks; an image gets one after the other, as groups would


@dataclass(frozen=True)
class Trial:
    """Measures over the images that could be marked. PSNR in dB between each file and its marked copy, both decoded.

    `survival`: mean part of the mark's energy in the written file. `growth`: bytes written over bytes read.
    `passed_over`: how many images could not carry the mark, by reason.
    """

    tried: int
    marked: int
    psnr: float = 0.0
    lowest_psnr: float = 0.0
    highest_psnr: float = 0.0
    survival: float = 0.0
    growth: float = 0.0
    passed_over: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the images tried, those that can carry the mark."""
        return self.marked / self.tried if self.tried else 0.0


def strength_of(mark: MarkSettings) -> MarkSettings:
    """The settings that decide what an image looks like afterwards: without the groups, and whatever is theirs."""
    groups = () if mark.is_plain else tuple(f"group {number}" for number in range(1, _PATTERNS + 1))
    of_images = {"share": 0.1, "clusters": "", "spares": ""}
    return mark.replace(groups=groups, group_by="class", size_classes=(), forbidden=(), **of_images)


def try_strength(
    images: Iterable[bytes], mark: MarkSettings, seed: bytes, step: Callable[[], None] = lambda: None
) -> Trial:
    """Mark each image under a key that is derived from `seed` and belongs to no release.

    Args: images: files. step: called before every image; may raise to end the work.
    """
    strength = strength_of(mark)
    key, beacon = (hashlib.sha256(purpose + seed).digest() for purpose in (b"trial key/", b"trial beacon/"))
    secret, family = MarkSecret.derive(key, beacon, strength), family_for(strength)
    found, tried, before, after = [], 0, 0, 0
    reasons: Counter[str] = Counter()
    for tried, data in enumerate(images, 1):
        step()
        pattern = secret.patterns[tried % len(secret.patterns)]
        try:
            marked = mark_image(data, family, pattern, secret.placement(hashlib.sha256(data).hexdigest()))
        except NotMarkableError as error:
            reasons[error.sentence] += 1
            continue
        found.append((marked.psnr, marked.survival))
        before, after = before + len(data), after + len(marked.data)
    if not found:
        return Trial(tried, 0, passed_over=dict(sorted(reasons.items())))
    psnrs = [psnr for psnr, _ in found]
    return Trial(
        tried=tried,
        marked=len(found),
        psnr=round(fmean(psnrs), 2),
        lowest_psnr=min(psnrs),
        highest_psnr=max(psnrs),
        survival=round(fmean(survival for _, survival in found), 4),
        growth=round(after / before, 4),
        passed_over=dict(sorted(reasons.items())),
    )
