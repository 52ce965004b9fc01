"""Writing a manifest: blocks in, a manifest folder out, with memory that does not grow with the number of files."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from .blocks import Counts, Refusal, block_path, write_block
from .joining import Join
from .manifest import Entry, Manifest
from .paths import folded


class ManifestWriter:
    """Builds the manifest in ``folder``.

    Give it blocks of entries, ascending by path within and across blocks, each with ``write_block``; after a kill ask
    ``has_block`` which are there already; ``finish`` joins them. The result does not depend on how often it was
    interrupted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blocks = folder / "blocks"
        if not self.finished:
            self.blocks.mkdir(parents=True, exist_ok=True)

    @property
    def finished(self) -> bool:
        return (self.folder / "facts.json").exists()

    def has_block(self, number: int) -> bool:
        return block_path(self.blocks, number).exists()

    def write_block(
        self, number: int, entries: Iterable[tuple[Entry, int, int]], refused: Iterable[Refusal] = ()
    ) -> None:
        """Store block ``number`` (from 0, without gaps): (entry, CRC-32 of the content, mtime in nanoseconds)."""
        rows, counts = [], Counts(claims=None)  # entries do not say what their files claim
        for entry, crc, mtime_ns in entries:
            rows.append((entry.line(), crc, mtime_ns, bytes.fromhex(entry.sha256)))
            counts.add_entry(entry)
            counts.mixed_case |= folded(entry.path) != entry.path
        write_block(self.blocks, number, rows, refused, counts)

    def finish(
        self, blocks: int, refused: Iterable[Refusal] = (), notes: Mapping[str, object] | None = None
    ) -> Manifest:
        """Join blocks 0 to ``blocks`` - 1 into the manifest and remove them.

        ``refused`` adds refusals that belong to no block, ``notes`` further facts.
        """
        if not self.finished:
            Join(self.folder, self.blocks, blocks).run(refused, notes or {})
        shutil.rmtree(self.blocks, ignore_errors=True)
        return Manifest(self.folder)
