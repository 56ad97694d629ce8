"""What was, and what lies where.

Owns: `versions`, `trash`, `list`.  May import: protocol, server.access, server.spaces, server.http.
"""

from __future__ import annotations

import re

from protocol.errors import BadRequest
from protocol.messages import Content, Revision
from protocol.resources import Listing, Trash, Versions
from server.access.rights import Action
from server.http.routes import Call, On, Query, route
from server.spaces import listing, trash, versions

_NEXT = Query("after", str, "`next` of the page before; empty: the first page")


@route("GET", "/views/{view}/nodes/{node}/versions", on=On.VIEW, action=Action.VERSIONS, answer=Versions)
async def get_versions(call: Call) -> Versions:
    """Every version of a file, the newest first."""
    return await call.service.database.read(
        lambda session: versions.versions_of(session, call.view, call.node())
    )


@route(
    "GET",
    "/views/{view}/nodes/{node}/versions/{revision}",
    on=On.VIEW,
    action=Action.VERSIONS,
    answer=Content,
)
async def get_version(call: Call) -> Content:
    """The content of one version; {revision} is EPOCH.NUMBER."""
    revision = _revision(call.request.match_info["revision"])
    return await call.service.database.read(
        lambda session: versions.version_content(session, call.view, call.node(), revision)
    )


@route("GET", "/views/{view}/trash", on=On.VIEW, action=Action.VERSIONS, answer=Trash, query=(_NEXT,))
async def get_trash(call: Call) -> Trash:
    """A page of what was deleted and can come back, the latest first."""
    return await call.service.database.read(
        lambda session: trash.trash_of(session, call.view, after=call.text("after"))
    )


@route(
    "GET",
    "/views/{view}/list",
    on=On.VIEW,
    action=Action.METADATA,
    answer=Listing,
    query=(Query("path", str, "a folder, from the view's root: /a/b"), _NEXT),
)
async def get_list(call: Call) -> Listing:
    """A page of the children of a folder, by name."""
    return await call.service.database.read(
        lambda session: listing.list_folder(
            session, call.principal, call.view, call.text("path", "/"), after=call.text("after")
        )
    )


def _revision(text: str) -> Revision:
    found = re.fullmatch(r"(\d{1,9})\.(\d{1,18})", text, re.ASCII)
    if found is None:
        raise BadRequest(f"{text[:50]!r} is not a revision", hint="Send EPOCH.NUMBER, such as 1.3.")
    return Revision(int(found[1]), int(found[2]))
