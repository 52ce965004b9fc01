"""Marking 1 % of 50,000 JPEGs against `cp -r` of the same tree. Goal: a ratio of at most 1.1.

    python -m tests.benchmarks.marking_speed [--data ../shared/data/cifar10.zip] [--files 50000] [--rounds 3]

Both sides start from a warm page cache and write to the same file system; each round runs them in turn, after what
was written before is on the disk. The ratio of the medians is printed, for files of our own (hard links) and for a
referenced folder (checked and copied), and the processor time of both.
The time to derive, choose, mark, place and write the release's manifest is all inside.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
import zlib
from hashlib import sha256
from pathlib import Path

from provenance.embedding.release import embed_release
from provenance.inspection.files import structural_features
from provenance.intake.images import inspect
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.writing import ManifestWriter
from provenance.marks import MarkSets, MarkSettings


def unpack(archive: Path, root: Path, count: int) -> Manifest:
    writer = ManifestWriter(root / "manifest")
    with zipfile.ZipFile(archive) as source:
        names = sorted((n for n in source.namelist() if n.startswith("train/") and n.endswith(".jpg")), key=str.encode)
        names = names[:: max(1, len(names) // count)][:count]
        blocks = 0
        for start in range(0, len(names), 1000):
            rows = []
            for name in names[start : start + 1000]:
                data, target = source.read(name), root / "files" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                facts, _ = inspect(data)
                label = name.split("/")[1]
                digest = sha256(data).hexdigest()
                entry = Entry(name, len(data), digest, facts.format, facts.width, facts.height, facts.mode, label)
                rows.append((entry, zlib.crc32(data), target.stat().st_mtime_ns))
            writer.write_block(blocks, rows)
            blocks += 1
    return writer.finish(blocks)


def embed(manifest: Manifest, files: Path, out: Path, owned: bool) -> None:
    groups = tuple(sorted(manifest.facts["labels"]))
    settings = MarkSettings(groups=groups, share=0.01)
    marks = MarkSets((settings,))
    secrets = marks.derive(bytes(32), bytes(32))
    workers = len(os.sched_getaffinity(0))
    facts = embed_release(
        manifest,
        files,
        out,
        secrets,
        marks,
        structural_features,
        lambda done, total, phase: None,
        owned=owned,
        workers=workers,
    )
    assert facts["marked"] == sum(group["wanted"] for group in facts["groups"])


def copy(files: Path, out: Path) -> None:
    subprocess.run(["cp", "-r", files, out], check=True)


def processor_seconds() -> float:
    """User and system time of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10.zip"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; the system's temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        root = Path(name)
        manifest = unpack(arguments.data, root, arguments.files)
        os.sync()
        times: dict[str, list[float]] = {"cp -r": [], "marking, own files": [], "marking, referenced folder": []}
        processor: dict[str, list[float]] = {kind: [] for kind in times}
        for number in range(arguments.rounds):
            for kind in times:
                out = root / f"out-{number}"
                os.sync()  # what the run before left to be written must not be paid by this one
                started, spent = time.perf_counter(), processor_seconds()
                if kind == "cp -r":
                    copy(root / "files", out)
                else:
                    embed(manifest, root / "files", out, owned="own" in kind)
                times[kind].append(time.perf_counter() - started)
                processor[kind].append(processor_seconds() - spent)
                shutil.rmtree(out)
    reference = statistics.median(times["cp -r"])
    print(f"{len(manifest):,} files, {arguments.rounds} rounds, {len(os.sched_getaffinity(0))} cores")
    for kind, values in times.items():
        middle = statistics.median(values)
        spread = f"{min(values):.2f} to {max(values):.2f} s"
        cpu = statistics.median(processor[kind])
        print(f"{kind:28} {middle:6.2f} s ({spread})   ratio {middle / reference:.2f}   processor {cpu:.2f} s")


if __name__ == "__main__":
    main()
