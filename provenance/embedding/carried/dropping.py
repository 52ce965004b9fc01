"""Dropping from a file what marking would make false, whether the file is to be marked or not."""

from provenance.embedding.carried.rewriting import with_parts
from provenance.intake.claims import Claim, parts_with_claims
from provenance.intake.parts import BEHIND, Part

_WITH_BYTES_BEHIND = {Claim.GAIN_MAP, Claim.PICTURE, Claim.DEPTH, Claim.FILM}


def without_claims(data: bytes) -> bytes:
    """The file without its claims: the segments and chunks that carry them, and an XMP packet that does, as a whole.

    Where the metadata announce further pictures or a film, all bytes behind the image's end go as well. The picture
    stays as it is, byte for byte; `data` itself where it claims nothing.
    """
    carriers = parts_with_claims(data)
    if not carriers:
        return data
    dropped = {part for part, _ in carriers}
    cut = any(_WITH_BYTES_BEHIND.intersection(own) for _, own in carriers)

    def change(part: Part, payload: bytes) -> bytes | None:
        return None if part in dropped or (cut and part.kind == BEHIND) else payload

    return with_parts(data, change)
