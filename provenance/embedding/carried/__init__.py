"""What an image file carries beside its picture: thumbnails, drawn anew when it is marked, and claims that would not
hold any more.
"""

from provenance.embedding.carried.dropping import without_claims
from provenance.embedding.carried.seen import Seen
from provenance.embedding.carried.thumbnails import with_thumbnails
from provenance.intake.claims import claims_of


def claims(data: bytes) -> tuple[str, ...]:
    """Why a file is no candidate for a mark as it is, in sentences; nothing where it claims nothing."""
    return tuple(claim.reason for claim in claims_of(data))


__all__ = ["Seen", "claims", "with_thumbnails", "without_claims"]
