"""How inner loops are compiled: outside Python's lock, kept on disk, without any freedom in arithmetic.

No fast mathematics: sums keep their order and products are rounded on their own, so the bits are the same everywhere.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, or fetch it from disk (beside the source, or NUMBA_CACHE_DIR).

    What numba keeps, it knows to be stale by the function's own file alone, while callees are compiled into it. So the
    name under which it is kept holds a digest of its whole room.
    """
    function.__qualname__ += f"_{_digest_of(Path(function.__code__.co_filename).parent)}"
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


@lru_cache
def _digest_of(room: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(room.glob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
