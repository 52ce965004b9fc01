"""Joining blocks into a manifest, with memory that does not grow with the number of files."""

import json
import os
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

from provenance.canonical import canonical_json

from .blocks import Block, Counts, Refusal, read_block, read_counts, refusal_line
from .errors import ManifestError
from .facts import summary
from .manifest import Entry
from .merkle import NODE, build_tree
from .paths import folded, shown
from .sorting import ExternalSort

_ONE_PASS = 1 << 16  # digests sorted in memory at a time

_Clash = tuple[int, int, str]  # block, index in it, path that was there first


class Join:
    """One pass over the blocks. Files are written under other names first; facts.json comes last."""

    def __init__(self, folder: Path, blocks: Path, count: int) -> None:
        self.folder = folder
        self.blocks = blocks
        self.count = count
        self.counts = Counts()
        self.files = 0

    def run(self, refused: Iterable[Refusal], notes: Mapping[str, object]) -> None:
        with ExternalSort(self.folder) as refusals:
            refusals.extend([_refusal_key(refusal) for refusal in refused])
            clashes = self._clashes()
            digests = self.folder / "blocks" / "digests"
            with digests.open("w+b") as digest_file:
                root = build_tree(self._draft("tree.bin"), self._join(refusals, clashes, digest_file))
                digest_file.flush()
                copies, originals = self._write_duplicates(digest_file)
            outcomes = self._write_refused(refusals)
        facts = summary(self.counts, self.files, root.hex(), outcomes, copies, originals)
        for name in ("manifest.jsonl", "offsets.bin", "crc32.bin", "mtimes.bin", "tree.bin", "duplicates.jsonl"):
            self._publish(name)
        self._publish("refused.jsonl")
        self._publish("refused.bin")
        self._draft("facts.json").write_bytes(canonical_json({**facts, **notes}) + b"\n")
        self._publish("facts.json")

    def _draft(self, name: str) -> Path:
        return self.folder / f"{name}.draft"

    def _publish(self, name: str) -> None:
        draft = self._draft(name)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(self.folder / name)

    def _join(self, refusals: ExternalSort, clashes: Iterator[_Clash], digests: BinaryIO) -> Iterator[bytes]:
        """Write everything that is in the manifest's order; yield the leaf hashes of each block."""
        clash = next(clashes, None)
        offset, last = 0, b""
        with (
            self._draft("manifest.jsonl").open("wb") as lines,
            self._draft("offsets.bin").open("wb") as offsets,
            self._draft("crc32.bin").open("wb") as crcs,
            self._draft("mtimes.bin").open("wb") as mtimes,
        ):
            for number in range(self.count):
                block = read_block(self.blocks, number)
                refusals.extend([_refusal_key(refusal) for refusal in block.refused])
                dropped: dict[int, str] = {}
                while clash and clash[0] == number:
                    dropped[clash[1]] = clash[2]
                    clash = next(clashes, None)
                if dropped:
                    refusals.extend([_refusal_key(refusal) for refusal in _clash_refusals(block, dropped)])
                    block = _without(block, dropped)
                self.counts.add(block.counts)
                if not len(block):
                    continue
                last = _check_order(block, last)
                lines.write(block.lines)
                starts = array("Q", accumulate(block.lengths[:-1], initial=offset))
                offset += len(block.lines)
                offsets.write(starts.tobytes())
                crcs.write(block.crcs)
                mtimes.write(block.mtimes)
                digests.write(block.digests)
                self.files += len(block)
                yield block.leaves

    def _clashes(self) -> Iterator[_Clash]:
        """(block, index, other path) of entries whose path another, earlier one takes on some file systems."""
        if not any(read_counts(self.blocks, number)["mixed_case"] for number in range(self.count)):
            return
        with ExternalSort(self.blocks) as keys, ExternalSort(self.blocks) as clashes:
            for number in range(self.count):
                block = read_block(self.blocks, number)
                for index, line in enumerate(block.lines.splitlines()):
                    path = json.loads(line)["path"]
                    keys.add(b"\0".join((folded(path).encode(), path.encode(), b"%010d%06d" % (number, index))))
            first: list[bytes] = [b"\0"]  # no path folds to this
            for key in keys:
                fields = key.split(b"\0")
                if fields[0] == first[0]:
                    clashes.add(fields[2] + first[1])
                else:
                    first = fields
            for clash in clashes:
                yield int(clash[:10]), int(clash[10:16]), clash[16:].decode()

    def _write_refused(self, refusals: ExternalSort) -> dict[str, int]:
        outcomes = {"refused": 0, "skipped": 0, "label": 0}
        offset = 0
        with self._draft("refused.jsonl").open("wb") as lines, self._draft("refused.bin").open("wb") as offsets:
            for key in refusals:
                path, outcome, reason = json.loads(key.split(b"\0", 1)[1])
                line = refusal_line((path, reason, outcome)) + b"\n"
                outcomes[outcome] += 1
                offsets.write(struct.pack("<Q", offset))
                lines.write(line)
                offset += len(line)
        return outcomes

    def _write_duplicates(self, digests: BinaryIO) -> tuple[int, int]:
        """Write duplicates.jsonl; return how many copies there are, and of how many originals."""
        copies = originals = 0
        fd = digests.fileno()
        with (
            self._draft("duplicates.jsonl").open("wb") as out,
            ExternalSort(self.blocks) as candidates,
            _Drafted(self._draft("manifest.jsonl"), self._draft("offsets.bin")) as lines,
        ):
            self._repeated(fd, candidates)
            groups: dict[bytes, str] = {}  # digests with the current prefix -> first path
            prefix = b""
            seen: set[bytes] = set()
            for candidate in candidates:
                if candidate[:16] != prefix:
                    prefix, groups, seen = candidate[:16], {}, set()
                index = int(candidate[16:])
                digest = os.pread(fd, NODE, index * NODE)
                path = lines.path(index)
                if digest not in groups:
                    groups[digest] = path
                    continue
                originals += digest not in seen
                seen.add(digest)
                copies += 1
                record = {"first": groups[digest], "path": path, "sha256": digest.hex()}
                out.write(canonical_json(record) + b"\n")
        return copies, originals

    def _repeated(self, fd: int, candidates: ExternalSort) -> None:
        """Collect prefix and index of every digest whose first 64 bits occur twice.

        In passes over the digests, each looking at one share of the prefixes, so that few are held at a time.
        """
        passes = max(1, min(32, -(-self.files // _ONE_PASS)))
        for turn in range(passes):
            prefixes = sorted(p for chunk in _prefixes(fd, self.files) for p in chunk if p % passes == turn)
            repeated = {a for a, b in pairwise(prefixes) if a == b}
            del prefixes
            if not repeated:
                continue
            index = 0
            for chunk in _prefixes(fd, self.files):
                for prefix in chunk:
                    if prefix in repeated:
                        candidates.add(b"%016x%012d" % (prefix, index))
                    index += 1


def _prefixes(fd: int, files: int) -> Iterator[list[int]]:
    step = 1 << 14
    for start in range(0, files, step):
        raw = os.pread(fd, min(step, files - start) * NODE, start * NODE)
        yield [prefix for (prefix,) in struct.iter_unpack("<Q24x", raw)]


class _Drafted:
    """Paths by index from a manifest that is not published yet."""

    def __init__(self, lines: Path, offsets: Path) -> None:
        self._lines = lines.open("rb")
        self._offsets = offsets.open("rb")

    def __enter__(self) -> "_Drafted":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._offsets.close()

    def path(self, index: int) -> str:
        self._offsets.seek(index * 8)
        self._lines.seek(struct.unpack("<Q", self._offsets.read(8))[0])
        return str(json.loads(self._lines.readline())["path"])


def _refusal_key(refusal: Refusal) -> bytes:
    """Sorts by path; JSON escapes newlines, so one refusal is one line."""
    path, reason, outcome = refusal
    sort_by = json.dumps(path, ensure_ascii=False).encode("utf-8", "replace")
    return sort_by + b"\0" + json.dumps([path, outcome, reason]).encode()


def _check_order(block: Block, last: bytes) -> bytes:
    """The block's last path; raises ``ManifestError`` unless paths ascend within and across blocks."""
    lines = block.lines.splitlines()
    first, end = (json.loads(line)["path"].encode() for line in (lines[0], lines[-1]))
    if first <= last or end < first:
        raise ManifestError("Entries must be offered in the order of their paths, each once.")
    return bytes(end)


def _clash_refusals(block: Block, dropped: dict[int, str]) -> Iterator[Refusal]:
    lines = block.lines.splitlines()
    for index, other in dropped.items():
        reason = f"clashes with {shown(other)} where upper and lower case are the same"
        yield shown(json.loads(lines[index])["path"]), reason, "refused"


def _without(block: Block, dropped: dict[int, str]) -> Block:
    """The block without the entries in ``dropped``."""
    keep = [index for index in range(len(block)) if index not in dropped]
    lines = block.lines.splitlines(keepends=True)
    kept, counts = [lines[index] for index in keep], Counts(claims=None)
    for line in kept:
        counts.add_entry(Entry.parse(line[:-1]))
    return Block(
        b"".join(kept),
        array("I", map(len, kept)),
        _pick(block.crcs, 4, keep),
        _pick(block.mtimes, 8, keep),
        _pick(block.leaves, NODE, keep),
        _pick(block.digests, NODE, keep),
        block.refused,
        counts.to_json(),
    )


def _pick(column: bytes, width: int, keep: list[int]) -> bytes:
    return b"".join([column[index * width : (index + 1) * width] for index in keep])
