"""Keys, salts, beacons and nonces that are the same in every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from unittest import mock

import numpy as np


@contextmanager
def known_keys(seed: int) -> Iterator[None]:
    """What is drawn from the system's random source in here is the same in every run: keys, salts, beacons.

    How strongly a tiny network learns a mark differs from key to key; a test of what is found needs one that it learns.
    """
    rng, lock = np.random.default_rng(seed), Lock()  # a live server draws in threads of its own

    def drawn(size: int) -> bytes:
        with lock:
            return rng.bytes(size)

    with mock.patch("os.urandom", drawn), mock.patch("secrets.token_hex", lambda size=32: drawn(size).hex()):
        yield
