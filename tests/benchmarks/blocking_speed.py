"""Making blocks of a version from hashes that lie there: processor time and the largest memory of this process.

    python -m tests.benchmarks.blocking_speed [--images 1000000] [--classes 1]

Hashes are random, one in twenty with a twin up to 20 bits away; twins must be one unit. Says, too, how far units of a
block are from the first of it, in bits, beside two units taken at random (128).
"""

import argparse
import resource
import time

import numpy as np

from provenance.blocking.making import Images, make_blocks
from provenance.blocking.rule import BlockRule
from provenance.marks import ImageBlocks
from provenance.near_duplicates.hashing import RECORD


def images_of(count: int, classes: int) -> Images:
    rng = np.random.default_rng(0)
    records = np.zeros(count, dtype=RECORD)
    records["read"], records["quality"], records["pixels"][:, 0] = 1, 90, np.arange(count)
    records["bits"] = rng.integers(0, 2**64, (count, 4), dtype=np.uint64)
    twins = count // 20
    flips = rng.integers(0, 256, (twins, 20))
    bits = records["bits"][:twins].copy()
    for column in flips.T:
        word, bit = column // 64, (column % 64).astype(np.uint64)
        bits[np.arange(twins), word] ^= np.uint64(1) << bit
    records["bits"][-twins:] = bits
    return Images(records, np.arange(count), rng.integers(0, classes, count), rng.integers(10_000, 90_000, count))


def distance_in_blocks(blocks: ImageBlocks, images: Images) -> float:
    hashes = images.records["bits"][blocks.first_of_unit[blocks.alternatives]]
    return float(np.bitwise_count(hashes[:, 1:] ^ hashes[:, :1]).sum(axis=2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1)
    options = parser.parse_args()
    images = images_of(options.images, options.classes)
    start = time.process_time()
    blocks = make_blocks(images, BlockRule(), lambda done, total, phase: None)
    took = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    twins = options.images // 20
    if not (blocks.unit_of[:twins] == blocks.unit_of[-twins:]).all():
        raise SystemExit("Some twins are not one unit.")
    print(f"{options.images:,} images, {options.classes} classes: {took:.0f} s, {memory:.0f} MiB at most")
    print(f"{blocks.units:,} units, {blocks.blocks:,} blocks, {blocks.files:,} images in blocks")
    print(f"{distance_in_blocks(blocks, images):.1f} bits from the first of a block")


if __name__ == "__main__":
    main()
