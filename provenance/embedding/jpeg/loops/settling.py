"""Which blocks change when a picture is coded again with its own tables, and fewer of them, compiled."""

import numpy as np

from provenance.compiling import compiled


@compiled
def count_changes(coefs, coded, blocks, counts):
    """How many coefficients of each block are coded as something else.

    coefs: (blocks, 64) of a picture; coded: (n, 64) of a part of it. blocks: (P, 6), for each plane of the part the
    first block in `coefs`, blocks of a row there, the same in `coded`, rows and columns. counts: (n,) uint8.
    """
    for plane in range(len(blocks)):
        for row in range(blocks[plane, 4]):
            here, there = blocks[plane, 0] + row * blocks[plane, 1], blocks[plane, 2] + row * blocks[plane, 3]
            for column in range(blocks[plane, 5]):
                one, two, differs = coefs[here + column], coded[there + column], np.uint8(0)
                for place in range(64):
                    differs += np.uint8(one[place] != two[place])
                counts[there + column] = differs


@compiled
def settle(coefs, coded, before, after, changed, blocks):
    """Let coefficients become what they are coded as, where more of a plane change than did before.

    Of the blocks that change most, until each changes by as many as the source's of its rank, or no more change in all.
    before, after: counts of the source and now. changed: (blocks,) uint8, which may settle. Returns how many did.
    """
    settled = 0
    for plane in range(len(blocks)):
        were, are, beyond = np.zeros(65, np.int64), np.zeros(65, np.int64), np.int64(0)
        for row in range(blocks[plane, 4]):
            here, there = blocks[plane, 0] + row * blocks[plane, 1], blocks[plane, 2] + row * blocks[plane, 3]
            for column in range(blocks[plane, 5]):
                beyond += np.int64(after[there + column]) - np.int64(before[there + column])
                if changed[here + column]:
                    were[before[there + column]] += 1
                    are[after[there + column]] += 1
        if beyond <= 0:
            continue
        less, rank = _by_rank(were, are, beyond), are[::-1].cumsum()[::-1] - are
        for row in range(blocks[plane, 4]):
            here, there = blocks[plane, 0] + row * blocks[plane, 1], blocks[plane, 2] + row * blocks[plane, 3]
            for column in range(blocks[plane, 5]):
                if changed[here + column]:
                    now = after[there + column]
                    if less[rank[now]] > 0:
                        _settle_block(coefs[here + column], coded[there + column], less[rank[now]])
                        settled += 1
                    rank[now] += 1
    return settled


@compiled
def _by_rank(were, are, beyond):
    """By how many coefficients less blocks are to change, by their rank: those that change by most come first.

    were, are: how many blocks change by each number in the source, and now.
    """
    less = np.zeros(are.sum(), np.int64)
    then, left, rank = 64, were[64], 0
    for now in range(64, 0, -1):
        for _ in range(are[now]):
            while left == 0:
                then -= 1
                left = were[then]
            less[rank] = min(max(now - then, 0), max(beyond, 0))
            beyond -= less[rank]
            left -= 1
            rank += 1
    return less


@compiled
def _settle_block(coefs, coded, count):
    """Let so many coefficients of a block become what they are coded as, those of high frequencies first."""
    for place in range(63, -1, -1):
        if count > 0 and coefs[place] != coded[place]:
            coefs[place] = coded[place]
            count -= 1
