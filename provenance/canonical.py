"""Canonical JSON: one value, one sequence of bytes, so that a digest means the value."""

import json
from typing import Any

from provenance.errors import TouchmarkError

# One encoder for all: json.dumps would build a new one at every call, at twice the cost.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class CanonicalError(TouchmarkError, ValueError):
    """The value has no canonical JSON form; the message says which part and why."""


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces and no NaN.

    Numbers are written as Python writes them (shortest form that reads back the same); text is written as it is,
    not as ASCII escapes. Raises CanonicalError for NaN, infinities, half surrogate pairs and non-JSON types.
    """
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise CanonicalError(f"This value cannot be written as canonical JSON: {error}.") from error
