"""What grouping images by an encoder takes: decoding and encoding, then balanced k-means; time, memory, and how good.

    python tests/benchmarks/clustering_speed.py images ../shared/data/cifar10.zip ../shared/models/resnet20-12fca82f.th
    python tests/benchmarks/clustering_speed.py alone 1000000 128 10

`images` unpacks a zip of images whose folders are classes, encodes all of them through the confined process as the job
does, and groups them; purity is the share of images whose class is the most frequent one of their cluster, with as many
clusters as there are classes. `alone` groups made-up features from a file: as many crowds as clusters, of unequal size.

Times are of the clock and, because a machine may be busy with other things, of the processor. Memory is the peak of
what a process holds for itself (RssAnon) and with what it has mapped from files (VmHWM), which the system may drop.
"""

import argparse
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from audits.asking.encoding import FeatureStore, block_images, encode
from audits.suspects import Limits, ModelSpec, SandboxedModel
from provenance.marks.clusters import balanced_clusters

ROOT = Path(__file__).resolve().parents[2]
SPEC = ModelSpec("cifar_resnet:20", input_size=32, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextlib.contextmanager
def measured(into: dict, name: str) -> Iterator[None]:
    begun, used = time.perf_counter(), processor_seconds()
    yield
    into[f"{name} s"] = round(time.perf_counter() - begun, 1)
    into[f"{name} processor s"] = round(processor_seconds() - used, 1)


class PeakMemory:
    """Peak of RssAnon, looked at twenty times a second, and of all resident memory; in MiB."""

    def __enter__(self) -> "PeakMemory":
        self.anonymous, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.whole = self._field("VmHWM")

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.anonymous = max(self.anonymous, self._field("RssAnon"))

    @staticmethod
    def _field(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def group(features: np.ndarray, count: int, folder: Path, told: dict) -> np.ndarray:
    with PeakMemory() as peak, measured(told, "grouping"):
        found = balanced_clusters(features, count, 1, scratch=folder)
    told |= {"MiB of its own": round(peak.anonymous), "MiB with mapped files": round(peak.whole)}
    told |= {"smallest": min(found.sizes), "largest": max(found.sizes), "moved": found.moved}
    told["inertia"] = round(found.inertia, 4)
    return found.labels


def purity(labels: np.ndarray, truth: np.ndarray) -> float:
    return sum(np.bincount(truth[labels == cluster]).max() for cluster in np.unique(labels)) / len(truth)


def of_images(archive: Path, weights: Path, most: int, folder: Path) -> dict:
    with zipfile.ZipFile(archive) as source:
        names = sorted(name for name in source.namelist() if not name.endswith("/"))
        names = names[:: max(1, len(names) // most)][:most]
        source.extractall(folder / "files", names)
    files = [(folder / "files" / name, hashlib.sha256((folder / "files" / name).read_bytes()).hexdigest())
             for name in names]  # fmt: skip
    classes = sorted({Path(name).parent.name for name in names})
    truth = np.array([classes.index(Path(name).parent.name) for name in names])
    told: dict = {"images": len(files), "classes": len(classes)}
    cores = len(os.sched_getaffinity(0))
    limits = Limits(threads=cores, device="cpu")
    with PeakMemory() as peak, measured(told, "encoding"), SandboxedModel(SPEC, weights, limits) as model:
        store = FeatureStore.open(folder / "store", "benchmark", len(files), 64, block_images(32))
        encode(store, lambda start, stop: files[start:stop], model, 32, lambda images: None, cores)
    told["MiB while encoding"] = round(peak.anonymous)
    labels = group(store.features, len(classes), folder, told)
    told["purity"] = round(purity(labels, truth), 4)
    told["grouping against encoding"] = round(told["grouping processor s"] / told["encoding processor s"], 3)
    return told


def alone(images: int, width: int, count: int, folder: Path) -> dict:
    rng = np.random.default_rng(0)
    features = np.lib.format.open_memmap(
        folder / "features.npy", mode="w+", dtype=np.float16, shape=(images, width)
    )  # fmt: skip
    centres = 0.5 * rng.normal(size=(count, width)).astype(np.float32)
    truth = np.sort(rng.choice(count, images, p=rng.dirichlet(np.full(count, 2.0))))
    for start in range(0, images, 8192):
        part = truth[start : start + 8192]
        features[start : start + 8192] = centres[part] + rng.standard_normal((len(part), width), dtype=np.float32)
    features.flush()
    del features
    # A process of its own: the peak of making the features is not the peak of grouping them.
    command = [sys.executable, __file__, "stored", str(folder), str(count)]
    told = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    return {"images": images, "numbers per image": width, "clusters": count, **told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    images = kinds.add_parser("images")
    images.add_argument("archive", type=Path)
    images.add_argument("weights", type=Path)
    images.add_argument("--most", type=int, default=60_000, help="images, evenly spaced among all")
    made_up = kinds.add_parser("alone")
    for name in ("images", "width", "clusters"):
        made_up.add_argument(name, type=int)
    stored = kinds.add_parser("stored")
    stored.add_argument("folder", type=Path)
    stored.add_argument("clusters", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clustering-") as name:
        if given.kind == "images":
            told = of_images(given.archive, given.weights.resolve(), given.most, Path(name))
        elif given.kind == "alone":
            told = alone(given.images, given.width, given.clusters, Path(name))
        else:
            told = {}
            group(np.load(given.folder / "features.npy", mmap_mode="r"), given.clusters, given.folder, told)
    print(json.dumps(told, indent=None if given.kind == "stored" else 2))


if __name__ == "__main__":
    main()
