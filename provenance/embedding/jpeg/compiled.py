"""How inner loops are compiled: outside Python's lock, kept on disk, without any freedom in arithmetic.

No fast mathematics: sums keep their order and products are rounded on their own, so the bits are the same everywhere.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def _digest_of_sources() -> str:
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


_DIGEST = _digest_of_sources()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, or fetch it from disk (beside the source, or NUMBA_CACHE_DIR).

    What numba keeps, it knows to be stale by the function's own file alone, while callees are compiled into it. So the
    name under which it is kept holds a digest of all files here.
    """
    function.__qualname__ += f"_{_DIGEST}"
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
