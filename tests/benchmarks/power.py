"""Power of the assignment test on CIFAR-10: which marks, how many of them, which suspects, how many queries.

Every suspect has its own seed, its own key and its own initialisation; references are trained on the unmarked images
with seeds of their own, and so are the clean suspects, whose rows say how often an innocent would be accused.

    python -m tests.benchmarks.power run --cifar cifar10.zip --out power.jsonl --minutes 8 [--part 0/4] [--cells clip]
    python -m tests.benchmarks.power table power.jsonl
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from PIL import Image, JpegImagePlugin

from audits.density import Standardiser, group_means, phi_hard, phi_soft, pulls
from audits.permutation import permutation_test, philox_from
from provenance.marks import MarkSecret, MarkSets, MarkSettings, family_for
from provenance.marks.secret import GroupCandidates
from tests.benchmarks.power_training import Recipe, Trained, train

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OWNED_PER_CLASS = 1000
PROBES = (20, 91, 455)  # 11 passes each: about 220, 1,000 and 5,000 queries
GROUP_IMAGES = 50
REFERENCES = 4
PERMUTATIONS = 200_000
RECIPES = {"clip": Recipe("clip", epochs=15), "simclr": Recipe("simclr", epochs=100, batch=512)}
FIRST_REFERENCE_SEED = 900_000


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    method: str
    look: str
    share: float
    options: dict = field(default_factory=dict)

    def settings(self) -> MarkSettings:
        return MarkSettings(groups=CLASSES, share=self.share, **self.options)


LOOKS: dict[str, dict] = {
    "patch 1.0": {"family": "patch", "side": 0.25, "opacity": 1.0},
    "patch 0.6": {"family": "patch", "side": 0.25, "opacity": 0.6},
    "patch 0.3": {"family": "patch", "side": 0.25, "opacity": 0.3},
    "blend 16": {"family": "blend", "amplitude": 16.0},
    "spectral 16": {"family": "spectral", "amplitude": 16.0},
    "warp 0.05": {"family": "warp", "bend": 0.05},
}
SHARES = {"clip": (0.005, 0.01, 0.02, 0.05, 0.1), "simclr": (0.05, 0.1)}


def cells(method: str, looks: list[str], shares: list[float]) -> list[Cell]:
    return [Cell(method, look, share, LOOKS[look]) for look in looks for share in shares or SHARES[method]]


@dataclass(frozen=True)
class Entry:
    """What marks read of a manifest entry."""

    path: str
    sha256: str
    label: str
    caption: str | None = None


@dataclass(frozen=True)
class Owned:
    """The owner's 10,000 images: files, pixels (N, 3, 32, 32) uint8 on the device, labels, and foreign test images."""

    entries: list[Entry]
    files: list[bytes]
    pixels: torch.Tensor
    labels: torch.Tensor
    held_out: tuple[torch.Tensor, torch.Tensor]


def load(archive: Path, device: torch.device) -> Owned:
    import hashlib

    entries, files, held_out, held_labels = [], [], [], []
    taken: dict[str, int] = defaultdict(int)
    with zipfile.ZipFile(archive) as pack:
        for name in sorted(pack.namelist()):
            parts = name.split("/")
            if len(parts) < 3 or not parts[-1]:
                continue
            part, label = parts[-3], parts[-2]
            if part == "test":
                held_out.append(pack.read(name))
                held_labels.append(CLASSES.index(label))
            elif taken[label] < OWNED_PER_CLASS:
                taken[label] += 1
                data = pack.read(name)
                files.append(data)
                entries.append(Entry(name, hashlib.sha256(data).hexdigest(), label))
    labels = torch.tensor([CLASSES.index(entry.label) for entry in entries], device=device)
    foreign = (_pixels(held_out, device), torch.tensor(held_labels, device=device))
    return Owned(entries, files, _pixels(files, device), labels, foreign)


def _pixels(files: list[bytes], device: torch.device) -> torch.Tensor:
    def decode(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    with ThreadPoolExecutor(4) as pool:
        stack = np.stack(list(pool.map(decode, files, chunksize=200)))
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous().to(device)


@dataclass(frozen=True)
class MarkSet:
    """One mark set of a marked copy: its secret, how many images bear it, and their mean PSNR."""

    secret: MarkSecret
    count: int
    psnr: float


@dataclass(frozen=True)
class Marked:
    """A marked copy: pixels as whoever received it decodes them, and what the audit may use."""

    pixels: torch.Tensor
    sets: tuple[MarkSet, ...]
    candidates: frozenset[int]


def mark(owned: Owned, settings: list[MarkSettings], key: bytes) -> Marked:
    """One mark set for each of the settings, no image in two of them."""
    pixels, found, taken = owned.pixels.clone(), [], set[int]()
    per_group = [OWNED_PER_CLASS] * len(CLASSES)
    for secret in MarkSets(tuple(settings)).derive(key, bytes(32)):
        groups = secret.candidates(owned.entries, per_group, taken, len(settings))
        taken |= {image.position for group in groups for image in group.images}
        errors = [error for group in groups for error in _mark_group(owned, secret, group, pixels)]
        psnr = statistics.fmean(10 * np.log10(255**2 / max(error, 1e-9)) for error in errors)
        found.append(MarkSet(secret, len(errors), psnr))
    return Marked(pixels, tuple(found), frozenset(taken))


def _mark_group(owned: Owned, secret: MarkSecret, group: GroupCandidates, pixels: torch.Tensor) -> Iterator[float]:
    """Marks the group's images in `pixels`; their mean squared errors."""
    chosen = [image.position for image in group.images[: group.wanted]]
    pattern = torch.from_numpy(secret.patterns[secret.pattern_of_group[group.group]])[None].to(pixels.device)
    places = torch.from_numpy(secret.placements([owned.entries[i].sha256 for i in chosen])).to(pixels.device)
    after = family_for(secret.settings).apply(owned.pixels[chosen].float(), pattern, places)
    after = after.round().clamp(0, 255).to(torch.uint8)
    for index, image in zip(chosen, after.permute(0, 2, 3, 1).cpu().numpy(), strict=True):
        written = _as_jpeg(image, owned.files[index])
        pixels[index] = torch.from_numpy(written.copy()).permute(2, 0, 1).to(pixels.device)
        yield float(((written.astype(float) - owned.pixels[index].permute(1, 2, 0).cpu().numpy()) ** 2).mean())


def _as_jpeg(image: np.ndarray, source: bytes) -> np.ndarray:
    """Written with the source's tables and subsampling and read again, as a release is."""
    original = Image.open(io.BytesIO(source))
    assert isinstance(original, JpegImagePlugin.JpegImageFile)
    buffer = io.BytesIO()
    tables = [list(original.quantization[number]) for number in sorted(original.quantization)]
    sampling = max(JpegImagePlugin.get_sampling(original), 0)
    Image.fromarray(image).save(buffer, "JPEG", qtables=tables, subsampling=sampling)
    return np.asarray(Image.open(buffer).convert("RGB"))


def pull_matrices(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained
) -> dict[tuple[int, str], np.ndarray]:
    """A[j, g] for every number of probes and level, from one set of answers."""
    device = owned.pixels.device
    family = family_for(secret.settings)
    probes = secret.probes(owned.entries, max(PROBES), candidates)
    groups = secret.group_images(owned.entries, GROUP_IMAGES, candidates | set(probes))
    clean = owned.pixels[probes].float()
    places = torch.from_numpy(secret.placements([owned.entries[i].sha256 for i in probes])).to(device)
    answers = [model.answer(clean)]
    for pattern in secret.patterns:
        answers.append(model.answer(family.apply(clean, torch.from_numpy(pattern)[None].to(device), places)))
    of_groups = model.answer(owned.pixels[[i for group in groups for i in group]].float())
    group_of = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    found = {}
    for count in PROBES:
        features = [part[0][:count].float().cpu().numpy() for part in answers]
        soft = [part[1][:count].float().cpu().numpy() for part in answers]
        classes = soft[0].shape[1]
        phis = {
            "features": (Standardiser.fit(features[0]).phi, features, of_groups[0].float().cpu().numpy()),
            "soft": (phi_soft, soft, of_groups[1].float().cpu().numpy()),
            "hard": (
                lambda labels, classes=classes: phi_hard(labels, classes),
                [part.argmax(1)[:, None].astype(np.float64) for part in soft],
                of_groups[1].argmax(1)[:, None].double().cpu().numpy(),
            ),
        }
        for level, (phi, values, theirs) in phis.items():
            means = group_means(phi(theirs), group_of, len(groups))
            found[count, level] = pulls(
                np.stack([phi(part).mean(0) for part in values[1:]]), phi(values[0]).mean(0), means
            )
    return found


def rows(
    owned: Owned, secret: MarkSecret, candidates: frozenset[int], model: Trained, references: list[Trained], name: str
) -> Iterator[dict]:
    suspect = pull_matrices(owned, secret, candidates, model)
    controls = [pull_matrices(owned, secret, candidates, reference) for reference in references]
    for (count, level), matrix in suspect.items():
        rng, others = philox_from("00" * 32, f"{name}/{count}/{level}"), [control[count, level] for control in controls]
        without = permutation_test(matrix, secret.assignment, PERMUTATIONS, rng)
        controlled = permutation_test(matrix, secret.assignment, PERMUTATIONS, rng, others)
        yield {"probes": count, "level": level, "p": without.p, "p_references": controlled.p, "z": without.z}


def run(options: argparse.Namespace) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(options.threads)
    deadline = time.monotonic() + 60 * options.minutes
    owned = load(options.cifar, device)
    mine, parts = (int(value) for value in options.part.split("/"))
    with options.out.open("a") as out:
        for method in options.cells:
            recipe = Recipe(**{**asdict(RECIPES[method]), **({"epochs": options.epochs} if options.epochs else {})})
            seeds = [FIRST_REFERENCE_SEED + 1000 * mine + i for i in range(options.references)]
            references = [train(recipe, owned.pixels, owned.labels, seed, owned.held_out) for seed in seeds]
            lines = cells(method, options.looks, options.shares)
            copies = [lines] if options.together else [[line] for line in lines]
            for seed in range(mine, options.seeds, parts):
                _one_seed(owned, recipe, copies, seed, references, out, deadline)


def _one_seed(
    owned: Owned, recipe: Recipe, copies: list[list[Cell]], seed: int, references: list, out: TextIO, deadline: float
) -> None:
    """Every marked copy once with this seed, and one clean suspect tested with each copy's key."""
    clean = train(recipe, owned.pixels, owned.labels, 500_000 + seed, owned.held_out)
    for lines in copies:
        if time.monotonic() > deadline:
            return
        start = time.monotonic()
        marked = mark(owned, [cell.settings() for cell in lines], os.urandom(32))
        model = train(recipe, marked.pixels, owned.labels, _seed_of(lines[0], seed), owned.held_out)
        common = {"seed": seed, "epochs": recipe.epochs, "sets": len(lines), "accuracy": _accuracy(model, owned)}
        common["seconds"] = time.monotonic() - start
        for cell, struck in zip(lines, marked.sets, strict=True):
            facts = {**asdict(cell), **common, "marked": struck.count, "psnr": struck.psnr}
            for guilty, suspect in ((True, model), (False, clean)):
                name = f"{cell}/{seed}/{guilty}"
                for row in rows(owned, struck.secret, marked.candidates, suspect, references, name):
                    out.write(json.dumps({**facts, "guilty": guilty, **row}) + "\n")
        out.flush()


def _seed_of(cell: Cell, seed: int) -> int:
    """Every suspect has a seed of its own, the same however the table is divided into runs; one of several mark sets
    goes by the first."""
    look, share = list(LOOKS).index(cell.look), round(1000 * cell.share)
    return 1_000_000 * (look + 1) + 1000 * share + seed


def _accuracy(model: Trained, owned: Owned) -> float:
    images, labels = owned.held_out
    right = [
        (model.answer(part.float())[1].argmax(1) == want)
        for part, want in zip(images.split(2000), labels.split(2000), strict=True)
    ]
    return float(torch.cat(right).float().mean())


def table(options: argparse.Namespace) -> None:
    """One line per cell: found at alpha, and the median p, without and with references."""
    found: dict[tuple, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for path in options.results:
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if row["probes"] != options.probes:
                continue
            look = row["look"] + (" (one of several sets)" if row.get("sets", 1) > 1 else "")
            mark = (look, row["share"]) if row["guilty"] else ("clean suspects", 0)
            cell = found[(f"{row['method']}, {row['epochs']} epochs", *mark)]
            for kind in ("p", "p_references"):
                cell[f"{row['level']} {kind}"].append(row[kind])
            for fact in ("psnr", "marked", "accuracy"):
                cell[fact].append(row[fact])
    kinds = [f"{level} {kind}" for level in ("features", "soft", "hard") for kind in ("p", "p_references")]
    head = ["suspect", "mark", "share", "marked", "PSNR", "accuracy", "runs"]
    _line(head + [kind.replace("p_references", "with references") for kind in kinds])
    _line(["---"] * (len(head) + len(kinds)))
    for (method, look, share), values in sorted(found.items()):
        runs = len(values["features p"])
        means = {fact: statistics.fmean(values[fact]) for fact in ("marked", "psnr", "accuracy")}
        facts = [f"{share:.1%}", f"{means['marked']:.0f}", f"{means['psnr']:.1f}", f"{means['accuracy']:.1%}"]
        cells = [method, look, *(facts if share else ["–"] * 4), str(runs)]
        for kind in kinds:
            hits = sum(p <= options.alpha for p in values[kind])
            cells.append(f"{hits}/{runs} ({statistics.median(values[kind]):.1g})")
        _line(cells)


def _line(cells: list[str]) -> None:
    print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--cifar", type=Path, required=True)
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--minutes", type=float, default=9)
    runner.add_argument("--seeds", type=int, default=5)
    runner.add_argument("--part", default="0/1")
    runner.add_argument("--cells", nargs="+", default=["clip", "simclr"])
    runner.add_argument("--looks", nargs="+", default=list(LOOKS), choices=LOOKS)
    runner.add_argument("--shares", nargs="+", type=float, default=[])
    runner.add_argument("--together", action="store_true", help="all looks of a share as mark sets of one copy")
    runner.add_argument("--references", type=int, default=REFERENCES)
    runner.add_argument("--epochs", type=int, default=0)
    runner.add_argument("--threads", type=int, default=2)
    runner.set_defaults(call=run)
    printer = commands.add_parser("table")
    printer.add_argument("results", type=Path, nargs="+")
    printer.add_argument("--probes", type=int, default=455)
    printer.add_argument("--alpha", type=float, default=0.01)
    printer.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
