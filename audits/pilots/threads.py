"""How many threads linear algebra takes; apart from what is trained, whose libraries take seconds to load."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def linear_algebra_threads(count: int) -> Iterator[None]:
    """Limit torch's threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
