"""What is new.

Owns: `views`, `changes`, `wait`.  May import: protocol, server.access, server.spaces, server.http.
"""

from __future__ import annotations

from protocol.ids import Cursor
from protocol.messages import MAX_PAGE_NODES, Feed, Moved, Views, Wait
from server.access.rights import Action
from server.access.views import views_of
from server.http.routes import Call, On, Query, route
from server.spaces.feed import changes
from server.spaces.waiting import wait_for_moves


@route("GET", "/views", on=On.ACCOUNT, answer=Views)
async def get_views(call: Call) -> Views:
    """All that this token may see: each view with its rights and where to begin."""
    return await call.service.database.read(
        lambda session: views_of(
            session,
            call.principal,
            call.service.cursors,
            default_quota=call.service.default_quota,
            now_ms=call.service.clock(),
        )
    )


@route(
    "GET",
    "/views/{view}/changes",
    on=On.VIEW,
    action=Action.METADATA,
    answer=Feed,
    query=(
        Query("after", str, "the cursor of the page before; empty: from the start"),
        Query("limit", int, f"nodes in a page, at most {MAX_PAGE_NODES}"),
    ),
)
async def get_changes(call: Call) -> Feed:
    """A page of the nodes that changed after a cursor, as they are now."""
    limit = call.number("limit", MAX_PAGE_NODES, least=1, most=MAX_PAGE_NODES)
    after = Cursor(call.text("after"))
    return await call.service.database.read(
        lambda session: changes(
            session, call.principal, call.view, after, limit=limit, cursors=call.service.cursors
        )
    )


@route("POST", "/wait", on=On.ACCOUNT, request=Wait, answer=Moved, polls=True)
async def post_wait(call: Call, wait: Wait) -> Moved:
    """A long poll: answered when one of these views moved, or the list of views did, or the time is up."""
    service = call.service
    async with service.open_requests.track(call.principal):
        return await wait_for_moves(service.database, service.wakeups, service.cursors, call.principal, wait)
