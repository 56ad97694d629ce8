"""Who may see a folder, and sharing it.

Owns: `grants` of a node.  May import: sqlalchemy, protocol, server.access, server.audit, server.spaces, server.http.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from protocol.ids import parse_principal_id
from protocol.sharing import Share, WhoSees
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.http.routes import Call, On, route
from server.spaces import sharing

_PATH = "/views/{view}/nodes/{node}/grants"


@route("GET", _PATH, on=On.VIEW, action=Action.PEOPLE, answer=WhoSees)
async def get_grants(call: Call) -> WhoSees:
    """Everyone who can see a folder now, and where that came from."""
    node = call.node()
    now_ms = call.service.clock()
    return await call.service.database.read(
        lambda session: sharing.who_sees(session, call.principal, call.view, node, now_ms=now_ms)
    )


@route("PUT", _PATH, on=On.VIEW, action=Action.SHARE, request=Share, answer=WhoSees)
async def put_grant(call: Call, asked: Share) -> WhoSees:
    """Give somebody a role on a folder, in place of the one they had there; who can see it then."""
    node, now_ms = call.node(), call.service.clock()

    def share(session: Session) -> WhoSees:
        answer = sharing.share(session, call.principal, call.view, node, asked, now_ms=now_ms)
        detail = f"{asked.role} to {asked.who}"
        record(session, [call.entry(Did.SHARE, detail=detail, nodes=pack_nodes([(node.bytes, 0, 0)]))])
        return answer

    answer = await call.service.database.write(share)
    call.service.wakeups.notify_rights()
    return answer


@route("DELETE", _PATH + "/{principal}", on=On.VIEW, action=Action.SHARE, answer=WhoSees)
async def delete_grant(call: Call) -> WhoSees:
    """Take a role back, or revoke a sync code; it ends within a second, also for what is under way."""
    node, now_ms = call.node(), call.service.clock()
    principal = parse_principal_id(call.request.match_info["principal"])

    def unshare(session: Session) -> WhoSees:
        seen = sharing.who_sees(session, call.principal, call.view, node, now_ms=now_ms)
        whose = next((seer.who for seer in seen.seers if seer.principal == principal), str(principal))
        answer = sharing.unshare(session, call.principal, call.view, node, principal, now_ms=now_ms)
        detail = f"from {whose}"
        record(session, [call.entry(Did.UNSHARE, detail=detail, nodes=pack_nodes([(node.bytes, 0, 0)]))])
        return answer

    answer = await call.service.database.write(unshare)
    call.service.wakeups.notify_rights()
    return answer
