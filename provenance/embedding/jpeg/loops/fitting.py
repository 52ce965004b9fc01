"""Huffman tables fitted to a scan, as libjpeg makes them, compiled."""

import numpy as np

from provenance.embedding.compiled import compiled


@compiled
def optimal_table(counted):
    """The Huffman table that libjpeg makes for counted symbols (jpeg_gen_optimal_table): 16 counts, symbols."""
    left, chain, sizes = np.zeros(257, np.int64), np.full(257, -1), np.zeros(257, np.int64)
    left[:256] = counted
    left[256] = 1  # no code shall consist of ones alone
    while True:
        rarest = second = -1
        for symbol in range(257):
            if left[symbol] and (rarest < 0 or left[symbol] <= left[rarest]):
                rarest = symbol
        for symbol in range(257):
            if left[symbol] and symbol != rarest and (second < 0 or left[symbol] <= left[second]):
                second = symbol
        if second < 0:
            break
        left[rarest] += left[second]
        left[second] = 0
        symbol = rarest
        sizes[symbol] += 1
        while chain[symbol] >= 0:
            symbol = chain[symbol]
            sizes[symbol] += 1
        chain[symbol] = second
        symbol = second
        sizes[symbol] += 1
        while chain[symbol] >= 0:
            symbol = chain[symbol]
            sizes[symbol] += 1
    lengths = np.zeros(258, np.int64)
    for symbol in range(257):
        lengths[sizes[symbol]] += sizes[symbol] > 0
    for length in range(257, 16, -1):
        while lengths[length]:
            shorter = length - 2
            while lengths[shorter] == 0:
                shorter -= 1
            lengths[length] -= 2
            lengths[length - 1] += 1
            lengths[shorter + 1] += 2
            lengths[shorter] -= 1
    longest = 16
    while lengths[longest] == 0:
        longest -= 1
    lengths[longest] -= 1  # the code of ones
    order = np.argsort(sizes[:256], kind="mergesort")
    return lengths[1:17].astype(np.uint8), order[sizes[:256][order] > 0].astype(np.uint8)
