"""What one key makes of a pilot's images: a marked copy as a release writes it, or one from which images stay home.

Keys follow from the pilot's seed and belong to no release. Torch-free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audits.pilots.pilot.found import Looks
from audits.pilots.pilot.pool import Pool
from audits.pilots.pilot.settings import PilotError
from audits.pilots.pilot.similarity import structural_similarity
from audits.pilots.training_set import read_image
from provenance.embedding.carried import without_claims
from provenance.embedding.errors import NotMarkableError
from provenance.embedding.marking import MarkedImage, mark_image
from provenance.marks import Family, KeyedChoice, MarkSecret, MarkSettings, WithheldSettings, family_for
from provenance.marks.keyed_choice import choose
from provenance.marks.secret import Candidate, GroupCandidates

MOST_COMPARED = 200  # marked images whose SSIM is measured: it takes longer than to mark them

Step = Callable[[], None]


@dataclass(frozen=True)
class StruckCopy:
    """images (n, S, S, 3) uint8, those of the pool but for the marked ones; positions in the pool of an audit's probes
    and group images, none of which is a candidate, and the group (M,) of each of the latter. Plain marks have none."""

    images: NDArray[np.uint8] = field(repr=False)
    secret: MarkSecret = field(repr=False)
    probes: tuple[int, ...] = field(repr=False)
    group_images: tuple[int, ...] = field(repr=False)
    group_of: NDArray[np.int64] = field(repr=False)
    looks: Looks


def withhold(
    pool: Pool, settings: WithheldSettings, key: bytes, beacon: bytes
) -> tuple[NDArray[np.int64], KeyedChoice]:
    """Positions in the pool that are published, ascending, and what the key chose."""
    assert pool.blocks is not None  # noqa: S101 - `withheld_in` refuses pools without
    choice = choose(key, beacon, settings, pool.blocks)
    return np.setdiff1d(np.arange(len(pool)), choice.images_at_home(pool.blocks)), choice


def strike(
    pool: Pool,
    settings: MarkSettings,
    counts: tuple[int, ...],
    key: bytes,
    beacon: bytes,
    *,
    probes: int,
    group_images: int,
    folder: Path,
    step: Step = lambda: None,
) -> StruckCopy:
    """Mark the key's images in their files, then scale them down as all others.

    counts: of every group among the pool's images. folder: for one marked file at a time. step: called before every
    image; may raise to end the work. Raises PilotError where no image can carry the mark.
    """
    secret, images = MarkSecret.derive(key, beacon, settings), pool.images.copy()
    entries = pool.grouped(settings)
    groups = secret.candidates(entries, counts)
    found, passed_over = list[tuple[float, float | None]](), 0
    for group in groups:
        for candidate, marked in _marked(pool, secret, group, step):
            if marked is None:
                passed_over += 1
                continue
            compared = len(found) < MOST_COMPARED
            images[candidate.position], alike = _seen(pool, candidate, marked, folder, compared)
            found.append((marked.psnr, alike))
    if not found:
        raise PilotError("None of the key's images can carry this mark; choose another family or strength.")
    psnrs, alikes = [psnr for psnr, _ in found], [alike for _, alike in found if alike is not None]
    excluded = {candidate.position for group in groups for candidate in group.images}
    drawn, of_groups = secret.clean_images(entries, min(probes, len(pool) // 4), group_images, excluded)
    return StruckCopy(
        images=images,
        secret=secret,
        probes=tuple(drawn),
        group_images=tuple(position for group in of_groups for position in group),
        group_of=np.repeat(np.arange(len(of_groups)), np.array([len(group) for group in of_groups], dtype=np.int64)),
        looks=Looks(len(found), passed_over, round(fmean(psnrs), 3), min(psnrs), round(fmean(alikes), 4)),
    )


def _marked(
    pool: Pool, secret: MarkSecret, group: GroupCandidates, step: Step
) -> Iterator[tuple[Candidate, MarkedImage | None]]:
    """The key's images of a group in its order until it has what it wants; None where one cannot carry the mark."""
    family: Family = family_for(secret.settings)
    pattern, left = secret.patterns[secret.pattern_of_group[group.group]], group.wanted
    for candidate in group.images:
        if not left:
            return
        step()
        data = _file(pool, candidate)
        try:
            yield candidate, mark_image(without_claims(data), family, pattern, secret.placement(candidate.sha256))
            left -= 1
        except NotMarkableError:
            yield candidate, None


def _file(pool: Pool, candidate: Candidate) -> bytes:
    try:
        data = (pool.files / candidate.path).read_bytes()
    except OSError as error:
        raise PilotError("An image of this version cannot be read any more. Check that its files are there.") from error
    if hashlib.sha256(data).hexdigest() != candidate.sha256:
        raise PilotError("An image of this version has changed since it was registered. Put its files back.")
    return data


def _seen(
    pool: Pool, candidate: Candidate, marked: MarkedImage, folder: Path, compared: bool
) -> tuple[NDArray[np.uint8], float | None]:
    """(S, S, 3) as a learner sees it, and the SSIM at full size."""
    written = folder / "marked"
    written.write_bytes(marked.data)
    scaled = read_image(written, pool.images.shape[1])
    alike = None
    if compared:
        with Image.open(written) as after, Image.open(pool.files / candidate.path) as before:
            alike = structural_similarity(np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB")))
    written.unlink()
    return scaled, alike
