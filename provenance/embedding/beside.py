"""Files that go with a release and are no images: the CSV with labels and captions, without what stays home."""

import hashlib
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provenance.embedding.errors import SourceChangedError
from provenance.embedding.placing import safe_target
from provenance.embedding.rows import rows_without

PIECE = 1 << 20


@dataclass(frozen=True)
class BesideFile:
    """A file of a release that its manifest does not list. `path` is that below the release's files."""

    path: str
    size: int
    sha256: str
    crc32: int = 0

    @classmethod
    def of_release(cls, facts: Mapping[str, Any]) -> "list[BesideFile]":
        """As a release's facts hold them; none in releases that were made before there were any."""
        return [cls(**one) for one in facts.get("beside", [])]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def place_beside(source: Path, wanted: BesideFile, files: Path, left_out: Collection[str] = ()) -> BesideFile:
    """Copy `source` to its path below `files`, byte for byte but for the rows of the images with the paths `left_out`.

    Returns the file that lies there. Raises: SourceChangedError where the source is not the file that was taken in;
    EmbeddingError where rows cannot be told apart; OSError where the copy cannot be written, as on a full disk.
    """
    _check(source, wanted)
    target = Path(safe_target(str(files), wanted.path))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    digest, crc, size = hashlib.sha256(), 0, 0
    try:
        with draft.open("wb") as write:
            for piece in rows_without(source, left_out) if left_out else _pieces(source, wanted):
                write.write(piece)
                digest.update(piece)
                crc, size = zlib.crc32(piece, crc), size + len(piece)
        os.utime(draft, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return BesideFile(wanted.path, size, digest.hexdigest(), crc)


def _check(source: Path, wanted: BesideFile) -> None:
    digest = hashlib.sha256()
    for piece in _pieces(source, wanted):
        digest.update(piece)
    if digest.hexdigest() != wanted.sha256:
        raise SourceChangedError(f"The file {wanted.path} is not the one that this version was registered with.")


def _pieces(source: Path, wanted: BesideFile) -> Iterator[bytes]:
    try:
        with source.open("rb") as read:
            while piece := read.read(PIECE):
                yield piece
    except OSError as error:
        raise SourceChangedError(f"The file {wanted.path} of this version cannot be read.", str(error)) from error
