"""How much one user may have under way at once.

Owns: the counts of requests and of long polls, by user.  May import: protocol.

They are counted apart: a poll costs next to nothing and lasts, and a user may have many computers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from protocol.errors import Unavailable
from protocol.ids import UserId
from protocol.limits import MAX_POLLS_A_USER, MAX_REQUESTS_A_USER


class Crowd:
    def __init__(self, *, requests: int = MAX_REQUESTS_A_USER, polls: int = MAX_POLLS_A_USER) -> None:
        self._limits = {False: requests, True: polls}
        self._under_way: dict[bool, Counter[UserId]] = {False: Counter(), True: Counter()}

    @contextmanager
    def entered(self, user: UserId, *, polls: bool) -> Iterator[None]:
        """Around one request of this user.  Raises Unavailable: enough of them are under way."""
        counts, limit = self._under_way[polls], self._limits[polls]
        if counts[user] >= limit:
            what = "long polls" if polls else "requests"
            raise Unavailable(
                f"This account has {limit} {what} under way", hint="Try again when some of them have ended."
            )
        counts[user] += 1
        try:
            yield
        finally:
            counts[user] -= 1
            if not counts[user]:
                del counts[user]
