"""What waits for whoever is signed in, and what they should know.

Owns: `notices`.  May import: sqlalchemy, protocol, server.access, server.hooks, server.http.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from protocol.notices import Notice, Notices
from server.access.code_news import news_of_codes
from server.access.rights import Action
from server.access.views import views_with
from server.hooks.jobs import State
from server.hooks.reviewing import open_ends
from server.http.routes import Call, On, route

_KINDS = {State.QUARANTINED: "review", State.FAILED: "failed"}


@route("GET", "/notices", on=On.PERSON, answer=Notices)
async def get_notices(call: Call) -> Notices:
    """Files that wait for a review, devices that wait to be let in, first uses of a sync code."""
    return await call.service.database.read(lambda session: _notices(session, call))


def _notices(session: Session, call: Call) -> Notices:
    found: list[Notice] = []
    for view in views_with(session, call.principal, Action.REVIEW):
        found += [
            Notice(kind=_KINDS[end.state], folder=view.name, count=end.count, at_ms=end.latest_at_ms)
            for end in open_ends(session, view)
        ]
    return Notices(
        notices=[*found, *news_of_codes(session, call.principal.user, now_ms=call.service.clock())]
    )
