"""Looking for near-duplicates: hashing files in the confined child, and grouping hashes without comparing all pairs.

    python tests/benchmarks/near_duplicates_speed.py [--images 300] [--hashes 200000]

Images are drawn here, 500 x 375 pixels, JPEG; hashes are random, one in twenty with a twin up to 20 bits away. Grouping
must join exactly the twins. Processor time, and the largest memory of this process.
"""

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from provenance.near_duplicates.grouping import near_groups
from provenance.near_duplicates.hashing import hashed


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def hashing(folder: Path, count: int) -> float:
    """Milliseconds for each file."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((500, 375), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(buffer.getvalue())
    before = children_seconds()
    records = hashed(paths)
    if not records["read"].all():
        raise SystemExit("Some image was not read.")
    return (children_seconds() - before) / count * 1000


def grouping(count: int) -> float:
    """Seconds for all hashes."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (count, 4), dtype=np.uint64)
    twins = count // 20
    bits = np.unpackbits(hashes[:twins].view(np.uint8), axis=1)
    for row in bits:
        row[rng.integers(0, 256, 20)] ^= 1
    hashes[-twins:] = np.packbits(bits, axis=1).view(np.uint64)
    start = time.process_time()
    labels = near_groups(hashes)
    took = time.process_time() - start
    if not (labels[:twins] == labels[-twins:]).all() or len(np.unique(labels)) != count - twins:
        raise SystemExit("Others than the twins were joined.")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--hashes", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{options.images:,} images: {hashing(Path(scratch), options.images):.1f} ms each")
    took = grouping(options.hashes)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.hashes:,} hashes: {took:.1f} s, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
