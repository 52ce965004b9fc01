"""From marked pixels back to samples of the source's kind: its depth, its palette, its transparent pixels."""

import numpy as np

from provenance.embedding.png.chunks import GREY, PALETTE
from provenance.embedding.png.picture import Picture, level_step

_STEPS = (257, 256, 64, 16, 4)  # of 16-bit levels that were made of 8, 8, 10, 12 and 14 bits
_AT_ONCE = 1 << 14  # colours that are compared with a palette at a time


def samples_of(picture: Picture, pixels: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    """(h, w, C) samples of the (H, W, channels) `pixels` inside `window`.

    What is transparent stays so, with the colours beneath; a palette image gets the nearest colours that it has.
    """
    header, before, wanted, step = picture.header, picture.samples[window], pixels[window], 1
    if header.colour == PALETTE:
        return _nearest(picture, before, picture.raster.pixels[window], wanted)
    if header.colour == GREY and header.depth < 8:
        levels = level_step(header)
        after = ((wanted.astype(np.uint16) + levels // 2) // levels).astype(np.uint8)
    elif header.depth == 16:
        step = _common_step(picture.samples[..., : picture.raster.colours], picture.transparent)
        after = wanted.copy()
        colours = wanted[..., : picture.raster.colours].astype(np.uint32)
        after[..., : picture.raster.colours] = (colours + step // 2) // step * step
    else:
        after = wanted
    if picture.raster.colours < after.shape[2]:
        return np.where(before[..., -1:] == 0, before, after)
    return after if picture.transparent is None else _with_transparency(picture.transparent, step, before, after)


def _common_step(levels: np.ndarray, transparent: tuple[int, ...] | None) -> int:
    """What all levels of a 16-bit picture are multiples of, but for a transparent one: 257 where it has 8 bits."""
    used = np.flatnonzero(np.bincount(levels.reshape(-1), minlength=1 << 16))
    used = used[~np.isin(used, transparent or ())]
    return next((step for step in _STEPS if not (used % step).any()), 1)


def _with_transparency(transparent: tuple[int, ...], step: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Samples of which the same ones are the transparent one as before.

    Those that were it stay it; others that came to be it go one step of levels back towards what they were.
    """
    key = np.array(transparent, dtype=before.dtype)
    had, has = ((levels == key).all(axis=2) for levels in (before, after))
    kept = after.copy()
    kept[had] = key
    hit = has & ~had
    kept[hit] = np.where(before[hit] > key, key + step, np.where(before[hit] < key, key - step, key))
    return kept


def _nearest(picture: Picture, before: np.ndarray, shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Palette indices whose colours are nearest, of those in use, with the pixel's own alpha; ties to the first."""
    after, palette = before.copy(), picture.palette.astype(np.int32)
    used = np.unique(picture.samples)
    changed = (shown[..., :3] != wanted[..., :3]).any(axis=2)
    alphas = palette[:, 3] if palette.shape[1] == 4 else np.full(len(palette), 255)
    changed &= alphas[before[..., 0]] > 0
    for alpha in np.unique(alphas[before[..., 0][changed]]):
        those = changed & (alphas[before[..., 0]] == alpha)
        entries = used[alphas[used] == alpha]
        colours, which = np.unique(wanted[those][:, :3], axis=0, return_inverse=True)
        found = np.concatenate(
            [_closest(colours[at : at + _AT_ONCE], palette[entries, :3]) for at in range(0, len(colours), _AT_ONCE)]
        )
        after[those, 0] = entries[found[which.reshape(-1)]]
    same = (picture.palette[after[..., 0]] == shown).all(axis=2)
    after[same] = before[same]  # of two entries of one colour the source's own
    return after


def _closest(colours: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """(n,) index of the entry (m, 3) at the smallest squared distance from each of (n, 3) colours; whole numbers."""
    ours = colours.astype(np.int32)
    distances = (entries * entries).sum(axis=1)[None] - 2 * (ours @ entries.T)
    return np.asarray(distances.argmin(axis=1))
