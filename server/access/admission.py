"""Who asks, and for which view: found once, and true at every request.

Owns: what is remembered of tokens and views, and when it is looked up anew.
May import: sqlalchemy, protocol, server.access, server.database.

Whatever anyone commits, here or in another process, makes the database say another version: then all that is
remembered is dropped.  So a token that was revoked is dead at the next request, and a request between two
changes costs no statement to let in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.ids import ViewId
from server.access.codes import expired_for
from server.access.devices import principal_of
from server.access.rights import Action, Principal, ReadableView, authorise
from server.access.tokens import hash_token
from server.access.views import readable_view
from server.database.session import Database

_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """view: None where the request is for none, or for one that this principal may not read."""

    principal: Principal
    view: ReadableView | None


class Admissions:
    """`admit` before each request.  clock: milliseconds since 1970, for what ends by itself."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        self._version = -1
        self._known: dict[tuple[bytes, ViewId | None], Admitted] = {}

    async def admit(self, token: str, view: ViewId | None, action: Action | None) -> Admitted:
        """action: what is asked of `view`.

        Raises NotSignedIn: an unknown or revoked token, its user was disabled, its sync code is over.
        Raises NotFound: the view is absent or not theirs.  Raises AccessDenied: theirs, but not for this action.
        """
        key = (hash_token(token), view)
        version = self._database.data_version()  # before the look: what changes after it has another one
        if version != self._version or len(self._known) >= _MAX_REMEMBERED:
            self._known, self._version = {}, version
        admitted = self._known.get(key)
        if admitted is None:
            known = self._known
            admitted = await self._database.read(lambda session: _look_up(session, token, view))
            known[key] = admitted  # of the version it was read at, or a newer one
        if (over := expired_for(admitted.principal, now_ms=self._clock())) is not None:
            raise over
        if action is not None:
            authorise(admitted.principal, action, admitted.view)
        return admitted


def _look_up(session: Session, token: str, view: ViewId | None) -> Admitted:
    principal = principal_of(session, token)
    if view is None:
        return Admitted(principal, None)
    try:
        return Admitted(principal, readable_view(session, principal, view))
    except NotFound:
        return Admitted(principal, None)
