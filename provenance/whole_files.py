"""Files that are there as a whole or not at all."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, fill: Callable[[Path], Any]) -> None:
    """`fill` writes a draft in the same folder, made where it is missing; the draft then takes the file's place.

    A reader never sees half a file, and two workers that write the same one do no harm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        fill(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)  # of a disk that is full or a job that is cancelled nothing may be left
