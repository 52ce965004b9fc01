"""The thumbnails that a file carries of itself, drawn anew once the file is marked.

An unmarked thumbnail of a marked picture would tell that it is marked, and where.
"""

from provenance.embedding.carried.holders import PHOTOSHOP, with_jfif_thumbnail, with_photoshop_thumbnails
from provenance.embedding.carried.redrawing import Redrawing
from provenance.embedding.carried.rewriting import with_parts
from provenance.embedding.carried.seen import Seen
from provenance.embedding.carried.tiff import with_tiff_thumbnail
from provenance.embedding.errors import NotMarkableError
from provenance.intake.parts import JPEG_START, REST, Part, parts_of

_EXIF = b"Exif\0\0"
_EXIF_KINDS = ("APP1", "eXIf", "EXIF")  # of JPEG, PNG and WebP


def with_thumbnails(written: bytes, source: bytes, seen: Seen | None = None) -> bytes:
    """The marked file with every thumbnail in it drawn anew from its picture; `written` itself where it has none.

    written: the source with other pixels. seen: where they differ, if that is known; saves time in large files. Raises
    NotMarkableError where a thumbnail cannot be written like itself.
    """
    damaged = [written[part.start : part.end] for part in parts_of(written) if part.kind == REST]
    if any(JPEG_START in rest for rest in damaged):
        raise NotMarkableError("Its structure is damaged and holds a picture.")
    redrawing = Redrawing(source, written, seen)

    def change(part: Part, payload: bytes) -> bytes:
        if part.kind in _EXIF_KINDS:
            return _with_exif_thumbnail(part.kind, payload, redrawing)
        if part.kind == "APP0":
            return with_jfif_thumbnail(payload, redrawing)
        if part.kind == "APP13" and payload.startswith(PHOTOSHOP):
            return with_photoshop_thumbnails(payload, redrawing)
        return payload

    return with_parts(written, change)


def _with_exif_thumbnail(kind: str, payload: bytes, redrawing: Redrawing) -> bytes:
    named = payload.startswith(_EXIF)
    if kind == "APP1" and not named:
        return payload
    head = len(_EXIF) if named else 0
    return payload[:head] + with_tiff_thumbnail(payload[head:], redrawing)
