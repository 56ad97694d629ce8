"""What there is in a view: search.

Owns: `search` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.catalog, server.http.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from protocol.catalog import Found
from protocol.errors import BadRequest
from protocol.limits import MAX_FOUND
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.catalog.query import Query, conditions_in, parse
from server.catalog.searching import Asked, Level, Order, search
from server.http.routes import Call, On, route
from server.http.routes import Query as Parameter

_QUERY = Parameter("q", str, "conditions, see docs/protocol.md; empty: all there is")
_LEVEL = Parameter("level", str, f"{', '.join(Level)}; series if it is left out")
_ORDER = Parameter("order", str, f"{', '.join(Order)}; patient if it is left out")


@route(
    "GET",
    "/views/{view}/search",
    on=On.VIEW,
    action=Action.METADATA,
    answer=Found,
    query=(
        _QUERY,
        _LEVEL,
        _ORDER,
        Parameter("limit", int, f"items of a page, up to {MAX_FOUND}; 50 if it is left out"),
        Parameter("after", str, "`next` of the page before; empty: the first page"),
    ),
)
async def get_search(call: Call) -> Found:
    """Files, series, studies or patients of which a file fits; who may not read gets labels and counts alone."""
    asked = Asked(
        query=parse(call.text("q")),
        level=_level(call.text("level", Level.SERIES)),
        order=_order(call.text("order", Order.PATIENT)),
        after=call.service.cursors.open_number(call.view.id, call.text("after")),
        limit=call.number("limit", 50, least=1, most=MAX_FOUND),
    )
    cursors = call.service.cursors

    def read(session: Session) -> Found:
        return search(session, call.principal, call.view, asked, cursors)

    found = await call.service.database.read(read)
    detail = f"by {asked_for(asked.query)}, {asked.level} {len(found.items)}"
    told = call.entry(Did.FIND, detail=detail, nodes=pack_nodes([(call.view.root.bytes, 0, 0)]))
    await call.service.database.write(lambda session: record(session, [told]))  # before the answer leaves
    return found


def asked_for(query: Query) -> str:
    """For the log: under which names; never a value, which may be somebody's."""
    names = sorted({name for condition in conditions_in(query) for name in condition.names})
    return ", ".join(names) or "nothing"


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError as error:
        raise BadRequest(f"{text[:20]!r} is no level", hint=f"Choose {', '.join(Level)}.") from error


def _order(text: str) -> Order:
    try:
        return Order(text)
    except ValueError as error:
        raise BadRequest(f"{text[:20]!r} is no order", hint=f"Choose {', '.join(Order)}.") from error
