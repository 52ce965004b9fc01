"""How long an intake takes against sha256sum over the same files, with the same number of processes.

    python tests/benchmarks/manifest_speed.py [--shared ../shared] [--rounds 7] [--processes 1 2]

Two sets: CIFAR-10 (60,000 JPEGs of about 900 bytes) and photographs (200 JPEGs of about 110 KB, 30 times over). Both
tools read the files in place with a warm page cache. Rounds alternate, so that whatever else the machine does hits
both; the ratio is of medians. Wall time is what people wait; processor time (user and system, children included) does
not depend on what else the machine does. An intake does much more than hash (structure check, CRC-32, listing, sorting,
Merkle tree, duplicates), and starts its own child processes within the time measured.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from provenance.intake.take_in import IntakeOptions, take_in

GOAL = 1.15


def processor_seconds() -> float:
    usage = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    return sum(each.ru_utime + each.ru_stime for each in usage)


def measured(action) -> tuple[float, float]:
    """(wall, processor) seconds of one call."""
    wall, processor = time.perf_counter(), processor_seconds()
    action()
    return time.perf_counter() - wall, processor_seconds() - processor


def prepare(shared: Path, scratch: Path) -> dict[str, Path]:
    with zipfile.ZipFile(shared / "data" / "cifar10.zip") as archive:
        archive.extractall(scratch / "cifar")
    with zipfile.ZipFile(shared / "data" / "photos.zip") as archive:
        for copy in range(30):
            archive.extractall(scratch / "photos" / f"{copy:02d}")
    return {"CIFAR-10": scratch / "cifar", "photographs": scratch / "photos"}


def sha256sum(folder: Path, names: Path, processes: int) -> None:
    per_call = -(-names.read_bytes().count(b"\0") // (processes * 4))
    command = ["xargs", "-0", "-a", str(names), "-n", str(per_call), "-P", str(processes), "sha256sum"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def intake(folder: Path, work: Path, processes: int) -> None:
    shutil.rmtree(work, ignore_errors=True)
    take_in(folder, work, IntakeOptions(processes=processes))


def compare(name: str, folder: Path, scratch: Path, processes: int, rounds: int) -> None:
    names = scratch / "names"
    files = [path for path in folder.rglob("*") if path.is_file()]
    names.write_bytes(b"".join(bytes(path.relative_to(folder)) + b"\0" for path in sorted(files)))
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(measured(lambda: sha256sum(folder, names, processes)))
        shutil.rmtree(scratch / "work", ignore_errors=True)
        ours.append(measured(lambda: intake(folder, scratch / "work", processes)))
    wall, processor = ([statistics.median(run[part] for run in runs) for runs in (theirs, ours)] for part in (0, 1))
    print(
        f"{name:12} {len(files):7,} {processes:9} {wall[0]:10.2f} {wall[1]:8.2f} {wall[1] / wall[0]:7.2f}"
        f" {processor[0]:11.2f} {processor[1]:8.2f} {processor[1] / processor[0]:7.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[3] / "shared")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = prepare(options.shared, Path(folder))
        print(f"goal: ratio at most {GOAL}; seconds are medians of {options.rounds} alternating rounds")
        print("set            files processes  sha256sum   intake   ratio  (processor:) theirs  ours   ratio")
        for name, images in sets.items():
            for processes in options.processes:
                compare(name, images, Path(folder), processes, options.rounds)


if __name__ == "__main__":
    main()
