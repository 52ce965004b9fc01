"""What a strength does to some images: marked for trial with a throw-away key, measured, and forgotten."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from provenance.embedding.codecs import FIRST_WAYS
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, family_for

_PATTERNS = 8  # of associated marks; an image gets one after the other, as groups would


@dataclass(frozen=True)
class Trial:
    """Measures over the images that could be marked. PSNR in dB between each file and its marked copy, both decoded.

    `survival`: mean part of the mark's energy in the written file. `first_try`: images whose first encoding, the
    source's own where it is known, kept enough of it. `growth`: bytes written over bytes read.
    """

    tried: int
    marked: int
    psnr: float = 0.0
    lowest_psnr: float = 0.0
    highest_psnr: float = 0.0
    survival: float = 0.0
    first_try: int = 0
    growth: float = 0.0


def strength_of(mark: MarkSettings) -> MarkSettings:
    """The settings that decide what an image looks like afterwards: without the groups, and whatever is theirs."""
    groups = () if mark.is_plain else tuple(f"group {number}" for number in range(1, _PATTERNS + 1))
    of_images = {"share": 0.1, "clusters": "", "copies": "", "near_duplicates": ""}
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
    for tried, data in enumerate(images, 1):
        step()
        pattern = secret.patterns[tried % len(secret.patterns)]
        try:
            marked = mark_image(data, family, pattern, secret.placement(hashlib.sha256(data).hexdigest()))
        except NotMarkableError:
            continue
        found.append((marked.psnr, marked.survival, marked.written_as))
        before, after = before + len(data), after + len(marked.data)
    if not found:
        return Trial(tried, 0)
    psnrs = [psnr for psnr, _, _ in found]
    return Trial(
        tried=tried,
        marked=len(found),
        psnr=round(fmean(psnrs), 2),
        lowest_psnr=min(psnrs),
        highest_psnr=max(psnrs),
        survival=round(fmean(survival for _, survival, _ in found), 4),
        first_try=sum(name in FIRST_WAYS for _, _, name in found),
        growth=round(after / before, 4),
    )
