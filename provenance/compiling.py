"""Loops over numbers as machine code that gives the same bits on every machine."""

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """A function that numba compiles at its first call, for the processor at hand; it runs outside Python's lock.

    Nothing is reordered, and no product and sum become one: every operation of floats is rounded on its own. Machine
    code is kept on disk where a folder can be written. It may call compiled functions of the same folder, no others.
    """
    # numba keeps what it made until the function's own file changes, with all that it calls inside.
    loop.__qualname__ += f"_{_digest_of(Path(inspect.getfile(loop)).parent)}"
    options = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        made: Loop = njit(loop, cache=True, **options)
    except RuntimeError:  # neither the source's folder nor the user's cache can be written
        made = njit(loop, **options)
    return made


@cache
def _digest_of(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
