"""Small versions on disk, made by the intake's own writer."""

import hashlib
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from provenance.embedding.release import embed_release
from provenance.inspection.files import structural_features
from provenance.intake.images import inspect
from provenance.intake.manifest import Entry, Manifest
from provenance.intake.writing import ManifestWriter
from provenance.marks import MarkSecret, MarkSets, MarkSettings

GROUPS = ("ant", "bee", "cow", "dog")
BEACON = b"b" * 32


def picture(seed: int, width: int = 48, height: int = 40, channels: int = 3) -> np.ndarray:
    """Smooth random shapes, (height, width, channels) uint8: compress like photographs, not like noise."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(30, 226, (6, 6, channels), dtype=np.uint8).squeeze())
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def as_bytes(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int, **options: Any) -> bytes:
    return as_bytes(Image.fromarray(picture(seed)), **{"quality": 95, "subsampling": 0, **options})


def lossy_webp(seed: int) -> bytes:
    return as_bytes(Image.fromarray(picture(seed)), "WEBP", quality=80)


def tiny_jpeg(seed: int) -> bytes:
    """8 x 8 pixels, too few for waves."""
    return as_bytes(Image.fromarray(picture(seed, 8, 8)), quality=95)


def write_version(root: Path, files: dict[str, bytes], captions: dict[str, str] | None = None) -> Manifest:
    """Write `files` under root/files and their manifest; the first folder is the label."""
    rows = []
    for path in sorted(files, key=str.encode):
        target = root / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(files[path])
        facts, _ = inspect(files[path])
        entry = Entry(
            path,
            len(files[path]),
            hashlib.sha256(files[path]).hexdigest(),
            facts.format,
            facts.width,
            facts.height,
            facts.mode,
            label=path.split("/")[0] if "/" in path else None,
            caption=(captions or {}).get(path),
            orientation=facts.orientation,
            bits=facts.bits,
        )
        rows.append((entry, zlib.crc32(files[path]), target.stat().st_mtime_ns))
    writer = ManifestWriter(root / "manifest")
    writer.write_block(0, rows)
    return writer.finish(1)


def jpeg_version(root: Path, per_group: int = 30) -> Manifest:
    files = {f"{group}/{i:03d}.jpg": jpeg(100 * g + i) for g, group in enumerate(GROUPS) for i in range(per_group)}
    return write_version(root, files)


def secret_of(key: int = 1, **changes: Any) -> MarkSecret:
    settings = MarkSettings(**{"groups": GROUPS, "share": 0.2, "opacity": 0.8, **changes})
    return MarkSecret.derive(bytes([key]) * 32, BEACON, settings)


def embed(version: Manifest, out: Path, *secrets: MarkSecret, owned: bool = True, **changes: Any) -> dict:
    arguments: dict[str, Any] = {"progress": lambda done, total, phase: None, "workers": 2, **changes}
    files = version.folder.parent / "files"
    marks = MarkSets(tuple(secret.settings for secret in secrets))
    return embed_release(version, files, out, secrets, marks, structural_features, owned=owned, **arguments)


def tree_digest(root: Path) -> dict[str, str]:
    """SHA-256 of every file under root."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
