"""The shape of one line of the permission table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.world import World

EVERYONE = frozenset({"rights_holder", "auditor", "legal", "administrator", "guest_auditor", "outsider"})
OWNER = frozenset({"rights_holder", "auditor", "legal", "administrator"})
OWNER_DATA = OWNER - {"administrator"}


@dataclass(frozen=True)
class Access:
    """Who gets an answer (status below 400) from one URL; everybody else gets 403 or 404, strangers the sign-in page.

    `kwargs(world)` makes the objects of the URL, once for everybody, and returns its arguments. Each person is tried
    inside a transaction that is rolled back, so a POST may change things (in the database: files stay changed).
    """

    allowed: frozenset[str]
    kwargs: Callable[[World], dict[str, Any]] = field(default=lambda world: {})
    method: str = "get"
    data: Callable[[World], dict[str, Any]] = field(default=lambda world: {})
    # Open to people who are not signed in.
    public: bool = False
    # A person who is allowed may still be told that their form is incomplete.
    accepts: tuple[int, ...] = ()
