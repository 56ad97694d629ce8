"""Who did what in a view.

Owns: `activity` of a view.  May import: protocol, server.access, server.spaces, server.http.
"""

from __future__ import annotations

from protocol.errors import BadRequest
from protocol.ids import parse_node_id
from protocol.resources import Activity
from server.access.rights import Action
from server.http.routes import Call, On, Query, route
from server.spaces import activity

_MOST = 200


@route(
    "GET",
    "/views/{view}/activity",
    on=On.VIEW,
    action=Action.PEOPLE,
    answer=Activity,
    query=(
        Query("before", str, "`next` of the page before; empty: the latest"),
        Query("limit", int, f"items of a page, up to {_MOST}; 50 if it is left out"),
        Query("kind", str, f"{', '.join(activity.KINDS)}; empty: all that you may see"),
        Query("node", str, "only what was done in this folder, or to this file"),
    ),
)
async def get_activity(call: Call) -> Activity:
    """Who did what here, the latest first; who read, shared and was refused is for those who may share."""
    kind = call.text("kind")
    if kind and kind not in activity.KINDS:
        raise BadRequest(f"{kind[:20]!r} is no kind of activity", hint=f"Choose {', '.join(activity.KINDS)}.")
    within = parse_node_id(call.text("node")) if call.text("node") else call.view.root
    limit = call.number("limit", 50, least=1, most=_MOST)
    cursors, view = call.service.cursors, call.view
    before = cursors.open_number(view.id, call.text("before"))
    items, following = await call.service.database.read(
        lambda session: activity.activity_of(
            session, call.principal, view, within, before=before, limit=limit, kind=kind
        )
    )
    return Activity(items=items, next=cursors.seal_number(view.id, following) if following else "")
