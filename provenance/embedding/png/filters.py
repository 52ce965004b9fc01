"""Row filters of a PNG (specification, section 9), and the rules by which writers choose one for every row."""

from collections.abc import Sequence

import numpy as np

NONE, SUB, UP, AVERAGE, PAETH = range(5)
# Orders in which writers try filters; the first with the smallest sum of absolute differences wins. Pillow's first, for
# it never takes AVERAGE; then libpng's, Pillow's with its option to optimise, and libpng's faster one.
PILLOW = (NONE, UP, SUB, PAETH)
_ORDERS = (PILLOW, (NONE, SUB, UP, AVERAGE, PAETH), (NONE, UP, SUB, AVERAGE, PAETH), (NONE, SUB, UP))
_ASKED = 256  # rows, evenly spaced, that tell a rule
_AT_ONCE = 1 << 22  # bytes of rows that are filtered together

Order = tuple[int, ...]


def filtered(kind: int, raw: np.ndarray, above: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """(n, length) uint8 rows after one filter. above: the rows over them, zeros over the first of a picture."""
    if kind == NONE:
        return raw
    if kind == UP:
        return raw - above
    left = _shifted(raw, pixel_bytes)
    if kind == SUB:
        return raw - left
    if kind == AVERAGE:
        return raw - ((left.astype(np.uint16) + above) >> 1).astype(np.uint8)
    return raw - _paeth(left, above, _shifted(above, pixel_bytes))


def rule_of(parts: Sequence[tuple[np.ndarray, np.ndarray]], pixel_bytes: int) -> Order:
    """The rule that explains why rows have their filters: an order of filters to try; empty where none does.

    parts: of every pass (n,) filters and (n, length) uint8 raw rows.
    """
    used = {int(kind) for kinds, _ in parts for kind in np.unique(kinds)}
    asked = []
    for kinds, raw in parts:
        which = np.unique(np.linspace(0, len(kinds) - 1, _ASKED).astype(np.int64))
        asked.append((kinds[which], _costs(raw[which], over(raw, which), pixel_bytes, range(5))))
    for order in _ORDERS:
        if used <= set(order) and all(np.array_equal(_cheapest(costs, order), kinds) for kinds, costs in asked):
            return order
    return tuple(used) if len(used) == 1 else ()


def chosen(order: Order, raw: np.ndarray, which: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """(n,) uint8: the filters that a rule takes for the rows `which` (n,) of a pass's (rows, length) uint8."""
    parts = [_cheapest(_costs(raw[some], over(raw, some), pixel_bytes, order), order) for some in _portions(raw, which)]
    return np.concatenate(parts)


def apply(kinds: np.ndarray, raw: np.ndarray, which: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """(n, 1 + length) uint8: the rows `which` (n,) after their filters `kinds` (n,), behind the filter's number."""
    rows = np.empty((len(which), raw.shape[1] + 1), dtype=np.uint8)
    rows[:, 0] = kinds
    for kind in range(5):
        for some in _portions(raw, np.flatnonzero(kinds == kind)):
            these = which[some]
            rows[some, 1:] = filtered(kind, raw[these], over(raw, these), pixel_bytes)
    return rows


def over(raw: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The rows above the rows `which` of a pass; zeros above its first."""
    above = raw[np.maximum(which - 1, 0)]
    above[which == 0] = 0
    return above


def _portions(raw: np.ndarray, which: np.ndarray) -> list[np.ndarray]:
    step = max(1, _AT_ONCE // raw.shape[1])
    return [which[at : at + step] for at in range(0, len(which), step)]


def _costs(raw: np.ndarray, above: np.ndarray, pixel_bytes: int, kinds: Sequence[int]) -> dict[int, np.ndarray]:
    """For each filter (n,) sums of the rows' absolute values, read as signed bytes."""
    return {
        kind: np.abs(filtered(kind, raw, above, pixel_bytes).view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64)
        for kind in kinds
    }


def _cheapest(costs: dict[int, np.ndarray], order: Order) -> np.ndarray:
    which = np.argmin(np.stack([costs[kind] for kind in order]), axis=0)  # the first among equals
    return np.array(order, dtype=np.uint8)[which]


def _shifted(rows: np.ndarray, pixel_bytes: int) -> np.ndarray:
    """Every byte's neighbour one pixel to the left, zero where there is none."""
    left = np.zeros_like(rows)
    left[:, pixel_bytes:] = rows[:, :-pixel_bytes]
    return left


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The neighbour that is nearest to left + above - corner; left before above before corner."""
    a, b, c = (part.astype(np.int16) for part in (left, above, corner))
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_above <= to_corner, above, corner)
    return np.where((to_left <= to_above) & (to_left <= to_corner), left, nearest)
