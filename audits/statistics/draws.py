"""Random permutations that are drawn while models are still asked. No answer enters them, so it does not matter when.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audits.statistics.permutation import ENUMERATED_UP_TO, philox_from, random_permutations

MOST_AHEAD = 2**26  # bytes; what does not fit is drawn when it is needed
MOST_NUMBERED = 127  # groups that fit in a byte

Orders = NDArray[np.integer]


class Draws:
    """Permutations by purpose, as `philox_from` fixes them for one run.

    seed: the plan's digest and the run's nonce.

    >>> with Draws(seed) as draws:
    ...     draws.begin("features", 10, 1_000_000)
    ...     answers = measure(...)
    ...     draws.of("features", 10, 1_000_000)
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._room = MOST_AHEAD
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="draws")
        self._begun: dict[tuple[str, int, int], Future[list[NDArray[np.int8]]]] = {}
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._pool.shutdown(cancel_futures=True)

    def begin(self, purpose: str, groups: int, permutations: int) -> None:
        """Draw these in the background, if there is room for them and the test will not enumerate."""
        asked, size = (purpose, groups, permutations), groups * permutations
        if asked in self._begun or not ENUMERATED_UP_TO < groups <= MOST_NUMBERED or size > self._room:
            return
        self._room -= size
        self._begun[asked] = self._pool.submit(self._drawn, *asked)

    def of(self, purpose: str, groups: int, permutations: int) -> Iterable[Orders]:
        """(some, G) at a time, drawn before or now; those drawn before are given once."""
        begun = self._begun.pop((purpose, groups, permutations), None)
        if begun is None:
            return random_permutations(groups, permutations, philox_from(self._seed, purpose))
        self._room += groups * permutations
        return begun.result()

    def _drawn(self, purpose: str, groups: int, permutations: int) -> list[NDArray[np.int8]]:
        found = []
        for orders in random_permutations(groups, permutations, philox_from(self._seed, purpose)):
            if self._ended:  # nobody will ask for them
                break
            found.append(orders.astype(np.int8))
        return found
