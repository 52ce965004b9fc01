"""One key at work on a pool: the copy that is published under it, and what an audit would ask afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from audits.asking.decoys import among_decoys
from audits.asking.views import applied, drawn_views
from audits.pilots.augmentation import channels_first
from audits.pilots.training_set import TrainingSet
from audits.robustness.copies import Copy, Ints, RobustnessError
from audits.robustness.evidence import Evidence, Plain, Struck, Withheld
from audits.robustness.settings import RobustnessSettings
from audits.robustness.stock import Stock
from audits.statistics.choices import Blocks
from audits.statistics.permutation import philox_from
from provenance.marks import ImageBlocks, KeyedChoice, MarkSecret, MarkSettings, WithheldSettings, family_for
from provenance.marks.blocking_file import NO_BLOCK
from provenance.marks.keyed_choice import choose
from provenance.marks.secret import Candidate

TOO_FEW_LEFT = "Too few images are left unmarked to ask about; mark fewer, or take more images."
MOST_MEMBERS = 50  # clean images of every group that pulls are measured towards


@dataclass(frozen=True)
class Key:
    """Drawn for a table and forgotten; no key of a release is opened for it."""

    key: bytes
    beacon: bytes

    @classmethod
    def drawn(cls, seed: int, trial: int, recipient: str) -> Key:
        """By the table's seed, so that a table can be made again."""
        words = (f"robustness/{seed}/{trial}/{recipient}/{what}" for what in ("key", "beacon"))
        key, beacon = (hashlib.sha256(word.encode()).digest() for word in words)
        return cls(key, beacon)


def published(
    settings: RobustnessSettings, stock: Stock, trial: int, step: Callable[[], None] = lambda: None
) -> Evidence:
    """What two recipients get in one trial, and how the first one's is found. Raises RobustnessError.

    step: called between the many questions about a plain mark; may raise to end the work.
    """
    one, other = (Key.drawn(settings.seed, trial, recipient) for recipient in ("first", "second"))
    if isinstance(settings.mark, WithheldSettings):
        return _withheld(settings, settings.mark, stock, one, other)
    if settings.mark.is_plain:
        return _plain(settings, settings.mark, stock, (one, other), step)
    return _struck(settings, settings.mark, stock, one, other)


def whole(pool: TrainingSet) -> Copy:
    return Copy(pool, np.arange(len(pool), dtype=np.int64))


# -- images that stay home ---------------------------------------------------------------------------------------------
def blocks_in_order(labels: Ints | None, count: int, size: int) -> ImageBlocks:
    """Blocks of `size` images of one class that follow each other, each a unit of its own; the rest is in none."""
    classes = np.zeros(count, dtype=np.int64) if labels is None else labels
    block_of, made = np.full(count, NO_BLOCK, dtype=np.int32), 0
    for label in np.unique(classes):
        own = np.flatnonzero(classes == label)
        blocks = len(own) // size
        block_of[own[: blocks * size]] = made + np.repeat(np.arange(blocks), size)
        made += blocks
    if not made:
        raise RobustnessError(f"No class has {size} images, so there is no block to choose from; take more images.")
    return ImageBlocks(np.arange(count, dtype=np.int32), block_of)


def _withheld(settings: RobustnessSettings, mark: WithheldSettings, stock: Stock, one: Key, other: Key) -> Withheld:
    pool = stock.pool
    blocks = blocks_in_order(pool.labels, len(pool), mark.block_size)
    first, second = (choose(key.key, key.beacon, mark, blocks) for key in (one, other))
    views = drawn_views(settings.drawn_views, philox_from(one.beacon.hex(), "robustness/views"))
    return Withheld(
        copy=_without(pool, first),
        second=_without(pool, second),
        alternatives=pool.images[first.positions],
        blocks=Blocks(first.block_of, first.home),
        views=applied(views, pool.images.shape[1]),
        captions=_own_captions(stock, first.positions),
        drawn=settings.permutations,
    )


def _own_captions(stock: Stock, positions: Ints) -> tuple[str | None, ...] | None:
    """Of these images, where any has one."""
    found = tuple(stock.captions[number] for number in positions) if stock.captions is not None else ()
    return found if any(found) else None


def _without(pool: TrainingSet, choice: KeyedChoice) -> Copy:
    kept = np.delete(np.arange(len(pool), dtype=np.int64), choice.positions[choice.home])
    return whole(pool).of(kept)


# -- marks that are struck ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Entry:
    """What marks read of a manifest's line."""

    path: str
    sha256: str
    label: str | None
    caption: str | None


def _struck(settings: RobustnessSettings, mark: MarkSettings, stock: Stock, one: Key, other: Key) -> Struck:
    entries, grouping = _entries(stock), mark.grouping()
    group_of = np.array([grouping.group_of(entry) for entry in entries])
    if min(np.bincount(group_of[group_of >= 0], minlength=len(mark.groups))) < 2:
        raise RobustnessError("Every group needs two images of the pool or more; take more images or other groups.")
    secrets = [MarkSecret.derive(key.key, key.beacon, mark) for key in (one, other)]
    (first, taken), (second, _) = (_marked(stock.pool, entries, group_of, secret) for secret in secrets)
    free = np.setdiff1d(np.arange(len(entries)), taken)
    drawn = np.random.default_rng(list(one.beacon)).permutation(free)
    members = np.concatenate([_members(drawn[group_of[drawn] == g]) for g in range(len(mark.groups))])
    probes = np.setdiff1d(drawn, members)[: settings.probes]
    if len(probes) < 2 or len(np.unique(group_of[members])) < len(mark.groups):
        raise RobustnessError(TOO_FEW_LEFT)
    return Struck(
        copy=first,
        second=second,
        secret=secrets[0],
        probes=stock.pool.images[probes],
        places=secrets[0].placements(entries[number].sha256 for number in probes),
        members=stock.pool.images[members],
        group_of=group_of[members],
        permutations=settings.permutations,
    )


def _plain(
    settings: RobustnessSettings, mark: MarkSettings, stock: Stock, keys: tuple[Key, Key], step: Callable[[], None]
) -> Plain:
    """Decoys follow from a beacon of the trial, as in an audit from its plan and nonce: the key has no part in them."""
    entries, beacon = _entries(stock), keys[0].beacon
    all_images = np.zeros(len(entries), dtype=np.int64)
    secrets = [MarkSecret.derive(key.key, key.beacon, mark) for key in keys]
    (first, taken), (second, _) = (_marked(stock.pool, entries, all_images, secret) for secret in secrets)
    free = np.setdiff1d(np.arange(len(entries)), taken)
    probes = np.random.default_rng(list(beacon)).permutation(free)[: settings.probes]
    if len(probes) < 2:
        raise RobustnessError(TOO_FEW_LEFT)
    digest = hashlib.sha256(b"robustness/decoys" + beacon).hexdigest()
    return Plain(
        copy=first,
        second=second,
        settings=mark,
        patterns=among_decoys(secrets[0], settings.decoys, digest=digest, nonce=beacon, beacon=beacon, step=step),
        probes=stock.pool.images[probes],
        places=secrets[0].placements(entries[number].sha256 for number in probes),
        step=step,
    )


def _members(clean: Ints) -> Ints:
    """Of a group's clean images; as many stay for probes."""
    return clean[: min(MOST_MEMBERS, (len(clean) + 1) // 2)]


def _entries(stock: Stock) -> list[_Entry]:
    pool = stock.pool
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in pool.images]
    labels = [None] * len(pool) if pool.labels is None else [stock.names[label] for label in pool.labels]
    captions = pool.captions or (None,) * len(pool)
    return [_Entry(f"{n}", *facts) for n, facts in enumerate(zip(digests, labels, captions, strict=True))]


def _marked(pool: TrainingSet, entries: list[_Entry], group_of: Ints, secret: MarkSecret) -> tuple[Copy, Ints]:
    """The copy with this key's marks, struck into decoded pixels, and the positions of all its candidates."""
    counts = np.bincount(group_of[group_of >= 0], minlength=len(secret.settings.groups)).tolist()
    groups = secret.candidates(entries, counts)
    images = pool.images.copy()
    for group in groups:
        pattern = secret.patterns[secret.pattern_of_group[group.group]]
        _strike(images, group.images[: group.wanted], pattern, secret)
    taken = np.array(sorted(image.position for group in groups for image in group.images), dtype=np.int64)
    return whole(pool).looking(images), taken


def _strike(
    images: NDArray[np.uint8], chosen: tuple[Candidate, ...], pattern: NDArray[np.uint8], secret: MarkSecret
) -> None:
    positions = [candidate.position for candidate in chosen]
    plain = channels_first(torch.from_numpy(images[positions])).contiguous().float()
    places = torch.from_numpy(secret.placements(candidate.sha256 for candidate in chosen))
    marked = family_for(secret.settings).apply(plain, torch.from_numpy(pattern[None]), places)
    images[positions] = marked.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
