"""What there is in a view.

Owns: `search`, `search.csv` and `counts` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.catalog, server.http.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.catalog import Counts, Found
from protocol.errors import BadRequest
from protocol.limits import MAX_FOUND
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.catalog.counts import counts
from server.catalog.export import table
from server.catalog.query import Query, conditions_in, parse
from server.catalog.searching import Asked, Level, Order, search
from server.http.ranges import attachment
from server.http.routes import Call, On, Stream, route
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
    await _noted(call, f"by {asked_for(asked.query)}, {asked.level} {len(found.items)}")
    return found


@route("GET", "/views/{view}/counts", on=On.VIEW, action=Action.METADATA, answer=Counts, query=(_QUERY,))
async def get_counts(call: Call) -> Counts:
    """How many patients, studies, series and files there are, by modality and label."""
    query = parse(call.text("q"))
    remembered = call.service.counted
    made = await call.service.database.read(
        lambda session: counts(session, call.principal, call.view, query, remembered)
    )
    await _noted(call, f"counts by {asked_for(query)}")
    return made


@route(
    "GET", "/views/{view}/search.csv", on=On.VIEW, action=Action.READ, answer=Stream.TABLE, query=(_QUERY,)
)
async def get_table(call: Call) -> web.Response:
    """Every file that fits as a table, with its attributes and labels, and where they came from."""
    query = parse(call.text("q"))
    data, lines = await call.service.database.read(
        lambda session: table(session, call.principal, call.view, query)
    )
    await _noted(call, f"table by {asked_for(query)}, {lines}")
    headers = {"Content-Disposition": attachment("found.csv")}
    return web.Response(body=data, content_type="text/csv", charset="utf-8", headers=headers)


async def _noted(call: Call, detail: str) -> None:
    """In the log, before the answer leaves."""
    told = call.entry(Did.FIND, detail=detail, nodes=pack_nodes([(call.view.root.bytes, 0, 0)]))
    await call.service.database.write(lambda session: record(session, [told]))


def asked_for_text(text: str) -> str:
    """As `asked_for`.  Raises BadRequest."""
    return asked_for(parse(text))


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
