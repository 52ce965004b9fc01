"""What is known of one file without its name: numbers, and words for what is only equal or not.

They come in rooms. "structure": the form, whatever the picture. "bytes": sizes and choices that follow from form and
picture together. "pictures": statistics of coefficients and pixels, which a detector of marks would use. "place": time
and permissions of the copy.
"""

import hashlib
from collections.abc import Mapping, Sequence

Features = dict[str, float | str]
Rooms = dict[str, Features]

FORM = ("structure", "place")  # nothing here follows from the picture: what shows here, the writer did
STRUCTURAL = ("structure", "place", "bytes")  # what decides; a recipient needs no look at a picture for these
ALL_ROOMS = (*STRUCTURAL, "pictures")


def named(rooms: Rooms) -> Features:
    """Every feature by "room: name"."""
    return {f"{room}: {name}": value for room, features in rooms.items() for name, value in features.items()}


def within(features: Mapping[str, float | str], rooms: Sequence[str]) -> Features:
    """Those of some rooms."""
    return {name: value for name, value in features.items() if name.partition(":")[0] in rooms}


def digest_of(*parts: bytes) -> str:
    """Eight hex digits that are alike for what is alike."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:8]
