"""Loops over numbers as machine code that gives the same bits on every machine."""

from collections.abc import Callable
from typing import TypeVar

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """A function that numba compiles at its first call, for the processor at hand; it runs outside Python's lock.

    Nothing may be reordered, and no product and sum become one: every operation of floats is rounded on its own. Call
    compiled functions of the same file only: numba keeps machine code until the function's own file changes.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        made: Loop = njit(loop, cache=True, **options)
    except RuntimeError:  # neither the source's folder nor the user's cache can be written
        made = njit(loop, **options)
    return made
