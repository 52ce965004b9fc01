"""Counting the images of word groups in a version's file of captions, against reading the manifest line by line.

    python tests/benchmarks/caption_words_speed.py [--captions 1000000] [--rounds 3]

Captions are invented: 5 to 15 words out of 20,000 with frequencies as in a language (Zipf), ten of the hundred most
frequent ones as groups. Both must find the same group for every image. Processor time, the fastest of the rounds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from provenance.intake.manifest import Entry
from provenance.marks.caption_file import groups_of_captions, write_captions
from provenance.marks.groups import Grouping


def invented(count: int) -> tuple[list[str], list[str]]:
    """(captions, words of the groups)."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (20_000, 7), dtype=np.uint8)
    words = np.array([row[: 3 + number % 5].tobytes().decode() for number, row in enumerate(letters)])
    ranks = np.minimum(rng.zipf(1.3, 15 * count) - 1, len(words) - 1).reshape(count, 15)
    lengths = rng.integers(5, 16, count)
    captions = [" ".join(words[row[:length]]) for row, length in zip(ranks, lengths, strict=True)]
    frequent = dict.fromkeys(words[10:100:9].tolist())
    return captions, list(frequent)


def entry_of(number: int, caption: str) -> Entry:
    name, digest = f"images/{number:08d}.jpg", f"{number:064x}"
    return Entry(name, 20_000, digest, "JPEG", 640, 480, "RGB", caption=caption)


def fastest(call: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        found = call()
        times.append(time.process_time() - start)
    return min(times), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    captions, words = invented(options.captions)
    grouping = Grouping("word", words)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "captions.txt"
        write_captions(path, captions)
        size = path.stat().st_size / 2**20
        quick, groups = fastest(lambda: groups_of_captions(path, words), options.rounds)
    lines = [entry_of(number, caption).line() for number, caption in enumerate(captions)]
    slow, wanted = fastest(lambda: [grouping.group_of(Entry.parse(line)) for line in lines], options.rounds)
    if groups.tolist() != wanted:
        raise SystemExit("The two differ.")
    print(f"{len(captions):,} captions, {size:.0f} MiB, groups: {', '.join(words)}; "
          f"{np.count_nonzero(groups >= 0):,} images in one")  # fmt: skip
    print(f"file of captions {quick:.2f} s, line by line {slow:.2f} s, ratio {slow / quick:.1f}")


if __name__ == "__main__":
    main()
