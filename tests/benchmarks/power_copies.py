"""Marked copies of the power benchmark: 10,000 images of CIFAR-10, marked and written as a release does it."""

import hashlib
import io
import statistics
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, JpegImagePlugin

from provenance.marks import MarkSecret, MarkSets, MarkSettings, family_for
from provenance.marks.secret import GroupCandidates

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
OWNED_PER_CLASS = 1000


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
    for secret in MarkSets(tuple(settings)).derive(key, bytes(32)):
        plain = secret.settings.association == "plain"
        per_group = [len(owned.entries)] if plain else [OWNED_PER_CLASS] * len(CLASSES)
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
