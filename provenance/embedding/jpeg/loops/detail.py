"""Detail that moving pixels has smoothed away, put back among quantised coefficients, compiled."""

import numpy as np

from provenance.compiling import compiled

PARTS = 16  # of a quantiser's step, in which differences are told
_LEVELS = 16  # sizes up to this are made as frequent as they were
_END = 22 * PARTS  # parts of which a table tells the size
_MIDDLE = _LEVELS * PARTS - PARTS // 2  # where the last of these sizes begins if nothing is smoothed
_ENOUGH = 32  # coefficients of the last size or more, of which fewer say nothing about those that are larger still
_WIDEST = 6  # parts that a limit between two sizes may lie off the middle, or as many of 16 parts of where that is


@compiled
def keep_detail(coefs, differences, touched, changed, blocks):
    """Add differences to the coefficients of a plane's blocks so that each frequency keeps its sizes.

    Of every frequency, as many coefficients of each small size as in the source are left, in the order of what they
    would be unquantised. differences: (n, 64) int16, in parts of a step; touched: (n,) uint8, of the same blocks.
    coefs, changed, blocks: as `settle` takes them.
    """
    for plane in range(len(blocks)):
        before, after = np.zeros((64, _LEVELS + 1), np.int32), np.zeros((64, _END + 1), np.int32)
        for row in range(blocks[plane, 4]):
            here, there = blocks[plane, 0] + row * blocks[plane, 1], blocks[plane, 2] + row * blocks[plane, 3]
            for column in range(blocks[plane, 5]):
                if touched[there + column]:
                    _count(coefs[here + column], differences[there + column], before, after)
        sizes = np.empty((64, _END + 1), np.int16)
        for place in range(64):
            _find_limits(before[place], after[place], place == 0, sizes[place])
        for row in range(blocks[plane, 4]):
            here, there = blocks[plane, 0] + row * blocks[plane, 1], blocks[plane, 2] + row * blocks[plane, 3]
            for column in range(blocks[plane, 5]):
                if touched[there + column] and _add(coefs[here + column], differences[there + column], sizes):
                    changed[here + column] = 1


@compiled
def _count(coefs, differences, before, after):
    """How often each size occurs, of the source and of what would be, in parts."""
    for place in range(64):
        level = np.int32(coefs[place])
        before[place, min(abs(level), _LEVELS)] += 1
        after[place, min(abs(level * PARTS + differences[place]), _END)] += 1


@compiled
def _find_limits(before, after, is_mean, sizes):
    """From which parts on each size is taken, as a table of sizes; its last entry is where the last size begins."""
    wanted, found, part, end = before[_LEVELS], after[_END], _END, _END
    sizes[_END] = _MIDDLE
    for size in range(_LEVELS, 0, -1):
        middle = size * PARTS - PARTS // 2
        while part > 0 and 2 * found + after[part - 1] <= 2 * wanted:
            part -= 1
            found += after[part]
        widest = max(_WIDEST, middle * _WIDEST // 16)
        limit = middle if is_mean else min(max(part, middle - widest), middle + widest + PARTS // 2, end)
        while part > limit:
            part -= 1
            found += after[part]
        while part < limit:
            found -= after[part]
            part += 1
        sizes[part:end] = size
        if size == _LEVELS:
            if wanted >= _ENOUGH:
                sizes[_END] = part
            for larger in range(part, _END):
                sizes[larger] = max(_scaled(larger, sizes[_END]), size)
        end = part
        wanted += before[size - 1]
    sizes[:end] = 0


@compiled
def _scaled(parts, start):
    """The size of what is beyond the last one's start; as that start lies, so lies all that is larger."""
    return (parts * _MIDDLE + start * PARTS // 2) // (start * PARTS)


@compiled
def _add(coefs, differences, sizes):
    """Add to one block; whether it changed."""
    differs = False
    for place in range(64):
        level = np.int32(coefs[place]) * PARTS + differences[place]
        parts = abs(level)
        new = np.int32(sizes[place, parts]) if parts < _END else _scaled(parts, np.int32(sizes[place, _END]))
        new = min(new, 1023 + (place == 0 and level < 0))
        if level < 0:
            new = -new
        if new != coefs[place]:
            coefs[place] = new
            differs = True
    return differs
