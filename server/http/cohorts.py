"""Folders that fill themselves with what fits a query.

Owns: `cohorts` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.catalog, server.hooks, server.http.
"""

from __future__ import annotations

from uuid import UUID

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.catalog import Cohort, Cohorts, NewCohort
from protocol.errors import BadRequest
from protocol.ids import UserId
from server.access.rights import Action, rights_of
from server.audit.rows import Did, pack_nodes, record
from server.catalog import cohorts
from server.hooks.linking import make_folder
from server.http.routes import Call, On, route
from server.http.search import asked_for_text

_ALL = "/views/{view}/cohorts"


@route("GET", _ALL, on=On.VIEW, action=Action.METADATA, answer=Cohorts)
async def get_cohorts(call: Call) -> Cohorts:
    """The cohorts whose folders lie in this view, the oldest first."""
    rights = rights_of(call.principal, call.view)
    found = await call.service.database.read(
        lambda session: cohorts.cohorts_of(
            session,
            call.view,
            with_people=Action.PEOPLE in rights,
            with_query=Action.READ in rights,
        )
    )
    return Cohorts(cohorts=found)


@route("POST", _ALL, on=On.VIEW, action=Action.WRITE, request=NewCohort, answer=Cohort)
async def post_cohort(call: Call, asked: NewCohort) -> Cohort:
    """Make a folder that fills itself with what fits a query in this view, for as long as one may write here."""
    service, user = call.service, UserId(call.principal.user)

    def make(session: Session) -> Cohort:
        now_ms = service.clock()
        cohorts.check_new(session, call.view, asked)
        folder = make_folder(
            session,
            service.store,
            service.cursors,
            call.view,
            asked.path,
            now_ms=now_ms,
            default_quota=service.default_quota,
        )
        made = cohorts.add(session, call.view, folder, asked, user, now_ms=now_ms)
        detail = f"make {made.hex[-8:]} by {asked_for_text(asked.query)}"
        record(session, [call.entry(Did.COHORT, detail=detail, nodes=pack_nodes([(folder.bytes, 0, 0)]))])
        listed = cohorts.cohorts_of(session, call.view, with_people=True, with_query=True)
        return next(one for one in listed if one.cohort == made)

    made = await service.database.write(make)
    service.wakeups.notify(call.view.space)
    return made


@route("DELETE", _ALL + "/{cohort}", on=On.VIEW, action=Action.WRITE)
async def delete_cohort(call: Call) -> web.Response:
    """Its folder fills no more; what lies in it stays."""
    try:
        wanted = UUID(call.request.match_info["cohort"])
    except ValueError as error:
        raise BadRequest("This is no id of a cohort", hint="Take it from the list of cohorts.") from error

    def remove(session: Session) -> None:
        ended = cohorts.remove(session, call.view, wanted)
        nodes = pack_nodes([(ended.node.bytes, 0, 0)])
        record(session, [call.entry(Did.COHORT, detail=f"remove {wanted.hex[-8:]}", nodes=nodes)])

    await call.service.database.write(remove)
    return web.Response(status=204)
