"""Peak resident memory of an intake against the number of files: it should not grow.

    python tests/benchmarks/manifest_memory.py [--files 10000 60000 300000]

Each size runs twice in processes of their own: a folder read in place, and a zip that is unpacked. The files are small
JPEGs, all different, half of them in one large folder. Printed are the peaks of the process itself and of the largest
of its children, as the operating system counted them, and their ratio to the smallest number of files.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import json, resource, sys, time
from pathlib import Path
from provenance.intake.labels import Labels
from provenance.intake.take_in import IntakeOptions, take_in
started = time.perf_counter()
taken = take_in(Path(sys.argv[1]), Path(sys.argv[2]), IntakeOptions(labels=Labels("folder")))
# Not ru_maxrss of ourselves: that one begins with the peak of the process that started us.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
own = int(status["VmHWM"].split()[0]) / 1024
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps([taken.facts["files"], time.perf_counter() - started, own, child]))
"""


def pictures(count: int):
    """(path, JPEG) pairs; the bytes differ by a comment that is appended to one small picture."""
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 60).save(buffer, "JPEG")
    head, tail = buffer.getvalue()[:2], buffer.getvalue()[2:]
    for number in range(count):
        folder = "one" if number % 2 else f"class{number // 2 % 50:02d}"
        yield f"{folder}/image{number:07d}.jpg", head + b"\xff\xfe\x00\x0a%08d" % number + tail


def intake(source: Path, work: Path) -> tuple[int, float, float, float]:
    command = [sys.executable, "-c", CHILD, str(source), str(work)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    files, seconds, own, child = json.loads(done.stdout)
    return files, seconds, own, child


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[10_000, 60_000, 300_000])
    options = parser.parse_args()
    first: dict[str, float] = {}
    print("source     files  seconds  peak of the process  of its largest child   ratio to the first row")
    for count in options.files:
        with tempfile.TemporaryDirectory() as scratch:
            for kind in ("zip", "folder"):
                source = Path(scratch) / kind
                if kind == "zip":
                    with zipfile.ZipFile(source, "w") as archive:
                        for name, data in pictures(count):
                            archive.writestr(name, data)
                else:  # what the zip was unpacked to
                    source = Path(scratch) / "work-zip" / "files"
                files, seconds, own, child = intake(source, Path(scratch) / f"work-{kind}")
                peak = max(own, child)
                ratio = peak / first.setdefault(kind, peak)
                print(f"{kind:6} {files:9,} {seconds:8.1f} {own:17.1f} MiB {child:18.1f} MiB {ratio:14.2f}")


if __name__ == "__main__":
    main()
