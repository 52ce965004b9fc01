"""One range of a download, as RFC 9110 (section 14) has it."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)


class UnsatisfiableRangeError(ValueError):
    """The range lies wholly outside the content: answer 416."""


@dataclass(frozen=True)
class ByteRange:
    start: int
    stop: int  # without this byte


def parse_range(header: str, size: int) -> ByteRange | None:
    """The range that a Range header asks for; None where the whole is to be sent.

    Headers that are malformed, in other units, or ask for several ranges are ignored, as the standard allows.
    """
    match = _ONE_RANGE.fullmatch(header.strip())
    if not match or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":  # the last so many bytes
        length = int(last)
        if length == 0 or size == 0:
            raise UnsatisfiableRangeError
        return ByteRange(max(0, size - length), size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableRangeError
    return ByteRange(start, min(int(last) + 1, size) if last else size)
