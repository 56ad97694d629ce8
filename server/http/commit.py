"""The one way to change a tree.  Owns: `POST commit`.  May import: protocol, server.spaces, server.http."""

from __future__ import annotations

from protocol.limits import MAX_BULK_MESSAGE_BYTES
from protocol.messages import Commit, CommitAnswer, Committed, Status
from server.access.rights import Action
from server.http.routes import Call, On, route
from server.spaces.commit import commit


@route(
    "POST",
    "/views/{view}/commit",
    on=On.VIEW,
    action=Action.WRITE,
    request=Commit,
    answer=CommitAnswer,
    max_bytes=MAX_BULK_MESSAGE_BYTES,
)
async def post_commit(call: Call, batch: Commit) -> CommitAnswer:
    """Do a batch in one transaction, and say for each operation what became of it."""
    service = call.service
    now_ms = service.clock()
    answer = await service.database.write(
        lambda session: commit(
            session,
            service.store,
            service.cursors,
            call.principal,
            call.view,
            batch,
            now_ms=now_ms,
            default_quota=service.default_quota,
            came=call.came,
        )
    )
    if isinstance(answer, Committed) and any(
        result.status in (Status.DONE, Status.OVERTAKEN) for result in answer.results
    ):
        service.wakeups.notify(call.view.space)
    return answer
