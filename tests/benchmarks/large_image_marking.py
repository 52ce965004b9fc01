"""Memory and time of marking one large image: every family, against decoding and encoding the same file with Pillow.

    python tests/benchmarks/large_image_marking.py [--side 8000] [--format JPEG PNG]

Each runs in a process of its own. Peak is the process's resident memory less what its libraries took before, in bytes
for each number (pixel times channel) of the image; time is that of its processor. The picture is smooth, with noise.
A small image is marked before, as in a worker that has its compiled loops already.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("patch", "blend", "spectral", "warp")
CHILD = """
import io, json, sys, time
from pathlib import Path
from PIL import Image
import numpy as np
from provenance.embedding.marking import mark_image
from provenance.marks import MarkSecret, MarkSettings, family_for

Image.MAX_IMAGE_PIXELS = None
data, family, format = Path(sys.argv[1]).read_bytes(), sys.argv[2], sys.argv[3]

def memory(name):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) * 1024

if family == "-":
    def work():
        with Image.open(io.BytesIO(data)) as image:
            image.save(io.BytesIO(), format)
else:
    settings = MarkSettings(groups=tuple(f"group {number}" for number in range(10)), family=family)
    secret = MarkSecret.derive(b"k" * 32, b"b" * 32, settings)
    small = io.BytesIO()
    Image.open(io.BytesIO(data)).crop((0, 0, 400, 400)).save(small, format)
    def mark(data):
        mark_image(data, family_for(settings), secret.patterns[0], (0.3, 0.7))
    def work():
        mark(data)
    mark(small.getvalue())

before, start = memory("VmRSS"), time.process_time()
work()
print(json.dumps([memory("VmHWM") - before, time.process_time() - start]))
"""


def picture(side: int, kind: str) -> bytes:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(40, 216, (16, 16, 3), dtype=np.uint8)).resize((side, side))
    pixels = np.asarray(smooth)
    pixels = np.clip(pixels + rng.integers(-6, 7, pixels.shape, dtype=np.int8), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def measured(path: Path, family: str, kind: str) -> tuple[int, float]:
    command = [sys.executable, "-c", CHILD, str(path), family, kind]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    peak, seconds = json.loads(done.stdout)
    return peak, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=8000)
    parser.add_argument("--format", nargs="+", choices=["JPEG", "PNG"], default=["JPEG", "PNG"])
    options = parser.parse_args()
    numbers = 3 * options.side**2
    print("format  what      peak, MiB  bytes per number  seconds  times Pillow's")
    for kind in options.format:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"picture.{kind.lower()}"
            path.write_bytes(picture(options.side, kind))
            bare = 0.0
            for family in ("-", *FAMILIES):
                peak, seconds = measured(path, family, kind)
                bare = bare or seconds
                name = "Pillow" if family == "-" else family
                print(f"{kind:6}  {name:8}  {peak / 2**20:9.0f}  {peak / numbers:16.1f}  {seconds:7.1f}  "
                      f"{seconds / bare:14.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
