"""Merkle trees as in RFC 6962, section 2.1, over SHA-256, kept in a file level by level.

``tree.bin`` holds 32 bytes a node: level 0 are the leaf hashes, level k has ``ceil(n / 2**k)`` nodes, the last is the
root. A node without a sibling moves up unchanged. So an inclusion proof costs O(log n) small reads.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from .errors import ManifestError

NODE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_CHUNK = 4096 * 2 * NODE  # an even number of nodes, so that pairs never straddle two chunks


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf: SHA-256(0x00 || data), 32 bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def level_sizes(leaves: int) -> list[int]:
    """Numbers of nodes of every level, leaves first; empty for an empty tree."""
    sizes = [leaves] if leaves else []
    while sizes and sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def build_tree(path: Path, leaf_hashes: Iterable[bytes]) -> bytes:
    """Write all levels to ``path`` and return the root (32 bytes).

    ``leaf_hashes`` yields byte strings of whole leaf hashes, one or many in a piece. Memory stays flat: every level is
    read back from the file in chunks to make the next.
    """
    with path.open("w+b") as file:
        total = 0
        for piece in leaf_hashes:
            if len(piece) % NODE:
                raise ManifestError("Leaf hashes must come in whole pieces of 32 bytes.")
            file.write(piece)
            total += len(piece)
        sizes = level_sizes(total // NODE)
        if not sizes:
            return EMPTY_ROOT
        start = 0
        for size in sizes[:-1]:
            _write_next_level(file, start, size * NODE)
            start += size * NODE
        file.flush()
        os.fsync(file.fileno())
        return os.pread(file.fileno(), NODE, start)


def _write_next_level(file: BinaryIO, start: int, length: int) -> None:
    sha256 = hashlib.sha256
    file.flush()
    for offset in range(start, start + length, _CHUNK):
        piece = os.pread(file.fileno(), min(_CHUNK, start + length - offset), offset)
        pairs = len(piece) // (2 * NODE) * 2 * NODE
        nodes = [sha256(b"\x01" + piece[at : at + 2 * NODE]).digest() for at in range(0, pairs, 2 * NODE)]
        nodes.append(piece[pairs:])  # the lone last node, or nothing
        file.write(b"".join(nodes))


class MerkleTree:
    """Reads proofs from a ``tree.bin`` of ``leaves`` leaves."""

    def __init__(self, path: Path, leaves: int) -> None:
        self._sizes = level_sizes(leaves)
        self._path = path
        expected = sum(self._sizes) * NODE
        if path.stat().st_size != expected:
            raise ManifestError(f"The Merkle tree in {path.name} does not have the size that {leaves} files ask for.")

    def root(self) -> bytes:
        """The root, 32 bytes."""
        if not self._sizes:
            return EMPTY_ROOT
        with self._path.open("rb") as file:
            return os.pread(file.fileno(), NODE, (sum(self._sizes) - 1) * NODE)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The siblings on the way from leaf ``index`` to the root, lowest first (RFC 6962, 2.1.1)."""
        if not self._sizes or not 0 <= index < self._sizes[0]:
            raise IndexError(index)
        proof = []
        start = 0
        with self._path.open("rb") as file:
            for size in self._sizes[:-1]:
                sibling = index ^ 1
                if sibling < size:
                    proof.append(os.pread(file.fileno(), NODE, start + sibling * NODE))
                start += size * NODE
                index >>= 1
        return proof


def verify_inclusion(leaf: bytes, index: int, leaves: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` shows that the leaf hash ``leaf`` is number ``index`` of the ``leaves`` under ``root``.

    The algorithm of RFC 9162, section 2.1.3.2. Never raises on a proof of the wrong length or content.
    """
    if not 0 <= index < leaves:
        return False
    node, last, result = index, leaves - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != NODE:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            result = node_hash(result, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and result == root
