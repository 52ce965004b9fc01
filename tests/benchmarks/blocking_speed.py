"""Making blocks of a version from hashes that lie there: processor time and the largest memory of this process.

    python -m tests.benchmarks.blocking_speed [--images 1000000] [--classes 1]
    python -m tests.benchmarks.blocking_speed --pictures ../shared/data/cifar10.zip --images 4000

Hashes are random, one in twenty with a twin up to 20 bits away, and twins must be one unit; or those of pictures of a
zip, whose last folder is the class. Says, too, how far units of a block are from the first of it, in bits; two units
taken at random are some 128 apart.
"""

import argparse
import resource
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from provenance.blocking.making import Images, make_blocks
from provenance.blocking.rule import BlockRule
from provenance.marks import ImageBlocks
from provenance.near_duplicates.finding import LEAST_QUALITY
from provenance.near_duplicates.hashing import RECORD, hashed


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


def images_in(archive: Path, count: int) -> Images:
    """Evenly spaced pictures of a zip."""
    with zipfile.ZipFile(archive) as whole, tempfile.TemporaryDirectory() as scratch:
        names = sorted(name for name in whole.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png")))
        names = names[:: max(len(names) // count, 1)][:count]
        whole.extractall(scratch, members=names)
        records = hashed([Path(scratch) / name for name in names])
        size = np.array([whole.getinfo(name).file_size for name in names])
    group = np.unique([Path(name).parent.name for name in names], return_inverse=True)[1]
    return Images(records, np.arange(len(names)), group, size)


def distance_in_blocks(blocks: ImageBlocks, images: Images) -> float:
    hashes = images.records["bits"][blocks.first_of_unit[blocks.alternatives]]
    return float(np.bitwise_count(hashes[:, 1:] ^ hashes[:, :1]).sum(axis=2).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    if options.pictures:
        images = images_in(options.pictures, options.images)
        print(f"{int((images.records['quality'] < LEAST_QUALITY).sum()):,} pictures are flat")
    else:
        images = images_of(options.images, options.classes)
    start = time.process_time()
    blocks = make_blocks(images, BlockRule(), lambda done, total, phase: None)
    took = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    twins = 0 if options.pictures else options.images // 20
    if twins and not (blocks.unit_of[:twins] == blocks.unit_of[-twins:]).all():
        raise SystemExit("Some twins are not one unit.")
    print(f"{len(blocks):,} images, {len(np.unique(images.group)):,} classes: {took:.0f} s, {memory:.0f} MiB at most")
    print(f"{blocks.units:,} units, {blocks.blocks:,} blocks, {blocks.files:,} images in blocks")
    print(f"{distance_in_blocks(blocks, images):.1f} bits from the first of a block")


if __name__ == "__main__":
    main()
