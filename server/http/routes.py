"""What a route declares, and the one path that every request takes to its handler.

Owns: the declaration (action, what it acts on, request, answer), sign-in and right before the handler runs.
May import: aiohttp, protocol, server.access, server.audit, server.spaces, server.http.

A handler gets a `Call`, and its request message if it declares one, and gives back an answer message or a
response of its own.  It never runs before the token was looked up and the declared action was allowed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from aiohttp import web
from msgspec import Struct

from protocol.errors import AccessDenied, BadRequest, MedicalBlocksError, NotFound, NotSignedIn
from protocol.ids import NodeId, parse_node_id, parse_view_id
from protocol.limits import MAX_MESSAGE_BYTES
from server.access.devices import note_seen, seen_is_due
from server.access.rights import Action, Principal, ReadableView, authorise, authorise_person
from server.audit.rows import SERVER, Came, Did, Entry
from server.http.denials import Denial
from server.http.exchange import REQUEST_ID, check_head, read_message, reply
from server.http.service import SERVICE, Service

_DENIALS = (AccessDenied, NotFound, NotSignedIn)
PREFIX = "/api/v1"
PRINCIPAL = web.RequestKey("principal", Principal)


class On(Enum):
    """What a request acts on."""

    NOTHING = "nothing"  # the only routes that ask for no token
    ACCOUNT = "account"  # what belongs to whoever is signed in, or holds the token of a sync code
    PERSON = "person"  # what belongs to a user: a sync code has none of it
    VIEW = "view"  # the view named in the path


class Stream(Enum):
    """A body that is no message."""

    FRAMES = "application/x-mb-frames"
    FILE = "application/octet-stream"
    SCHEMA = "application/json"
    TABLE = "text/csv"
    PAGE = "text/html"
    STYLE = "text/css"
    SCRIPT = "text/javascript"


@dataclass(frozen=True, slots=True)
class Query:
    """One parameter of the query string."""

    name: str
    kind: type[str | int]
    meaning: str


@dataclass(slots=True)
class Call:
    """One request, once it is known who asks and for which view."""

    request: web.Request
    service: Service
    signed_in: Principal | None = None
    allowed_view: ReadableView | None = None

    @property
    def principal(self) -> Principal:
        if self.signed_in is None:
            raise NotSignedIn("This request has no token", hint="Sign in first.")
        return self.signed_in

    @property
    def view(self) -> ReadableView:
        assert self.allowed_view is not None  # the route declares On.VIEW
        return self.allowed_view

    @property
    def came(self) -> Came:
        return Came(self.address, self.request[REQUEST_ID])

    @property
    def address(self) -> str:
        """Where it came from.  The last name in X-Forwarded-For is the one that our own proxy wrote."""
        if self.service.behind_proxy:
            forwarded = self.request.headers.getall("X-Forwarded-For", [])
            if forwarded:
                return forwarded[-1].rpartition(",")[2].strip()[:100]
        return self.request.remote or ""

    def entry(self, did: Did, *, detail: str = "", nodes: bytes = b"", count: int = 1) -> Entry:
        """A row of the log for what this request does."""
        return Entry(
            at_ms=self.service.clock(),
            did=did,
            space=SERVER if self.allowed_view is None else self.allowed_view.space,
            actor=self.principal.user,
            device=self.principal.device,
            came=self.came,
            detail=detail,
            count=count,
            nodes=nodes,
        )

    def note_denial(self, error: MedicalBlocksError, *, route: str) -> None:
        """For the log: who asked for what they may not, or for what is not there."""
        who, view = self.signed_in, self.allowed_view
        named = " ".join(f"{name}={value[:40]}" for name, value in self.request.match_info.items())
        denial = Denial(
            did=Did.ASK,
            result=error.code,
            actor=None if who is None else who.user,
            device=None if who is None else who.device,
            space=SERVER if view is None else view.space,
            address=self.address,
            detail=f"{route} {named}".rstrip(),
        )
        self.service.denials.note(denial, request=self.request[REQUEST_ID])

    def node(self) -> NodeId:
        return parse_node_id(self.request.match_info["node"])

    def text(self, name: str, default: str = "") -> str:
        return self.request.query.get(name, default)

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        given = self.request.query.get(name)
        if given is None:
            return default
        if not (given.isascii() and given.isdigit()) or len(given) > 18 or not least <= int(given) <= most:
            raise BadRequest(f"{name} is {given[:20]!r}", hint=f"Send a whole number from {least} to {most}.")
        return int(given)


Handler = Callable[..., Awaitable[Struct | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """A handler with its declaration."""

    method: str
    path: str
    on: On
    action: Action | None
    request: Any
    answer: Any
    query: tuple[Query, ...]
    max_bytes: int
    polls: bool
    handler: Handler

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Who asks, may they, what do they say, what is the answer."""
        check_head(request)
        call = Call(request, request.app[SERVICE])
        try:
            if self.on is On.NOTHING:
                return await self._answered(call)
            await self._admit(call)
            with call.service.crowd.entered(call.principal.user, polls=self.polls):
                return await self._answered(call)
        except _DENIALS as error:
            call.note_denial(error, route=f"{self.method} {self.path}")
            raise

    async def _answered(self, call: Call) -> web.StreamResponse:
        request = call.request
        unknown = request.query.keys() - {query.name for query in self.query}
        if unknown:
            raise BadRequest(
                f"Unknown query parameter {min(unknown)[:50]!r}",
                hint=f"This resource knows {', '.join(query.name for query in self.query) or 'none'}.",
            )
        if self.request is None or isinstance(self.request, Stream):
            answer = await self.handler(call)
        else:
            message = await read_message(request, self.request, max_bytes=self.max_bytes)
            answer = await self.handler(call, message)
        return answer if isinstance(answer, web.StreamResponse) else reply(request, answer)

    async def _admit(self, call: Call) -> None:
        token = bearer_token(call.request)
        service = call.service
        view = parse_view_id(call.request.match_info["view"]) if self.on is On.VIEW else None
        admitted = await service.admissions.admit(token, view, None)
        principal = admitted.principal
        if self.on is On.PERSON:
            authorise_person(principal)
        call.signed_in, call.allowed_view = principal, admitted.view
        if self.action is not None:
            authorise(principal, self.action, admitted.view)
        call.request[PRINCIPAL] = principal
        now_ms = service.clock()
        if seen_is_due(principal, now_ms=now_ms):
            await service.database.write(lambda session: note_seen(session, principal, now_ms=now_ms))


def route(
    method: str,
    path: str,
    *,
    on: On,
    action: Action | None = None,
    request: Any = None,
    answer: Any = None,
    query: Iterable[Query] = (),
    max_bytes: int = MAX_MESSAGE_BYTES,
    polls: bool = False,
    below: str = PREFIX,
) -> Callable[[Handler], Route]:
    """Declare a handler.  path: below `below`.  request, answer: a message type, or a `Stream`; None is none.
    polls: it lasts by design, and is counted apart.

    Raises ValueError: a declaration that does not say which right it needs, or names a view it does not have.
    """
    if (on is On.VIEW) != (action is not None) or (on is On.VIEW) != ("{view}" in path):
        raise ValueError(f"{method} {path}: a route on a view names the view and an action, others neither")

    def declare(handler: Handler) -> Route:
        return Route(
            method, below + path, on, action, request, answer, tuple(query), max_bytes, polls, handler
        )

    return declare


def bearer_token(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn("This request has no token", hint="Sign in with POST /api/v1/login first.")
    return token


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    for declared in routes:
        app.router.add_route(declared.method, declared.path, declared.serve)


def check_declared(app: web.Application) -> None:
    """Refuse to start with a route that says neither who may call it nor what it acts on.

    Raises RuntimeError: it names the routes.
    """
    undeclared = [
        f"{found.method} {found.resource.canonical if found.resource else '?'}"
        for found in app.router.routes()
        if not isinstance(getattr(found.handler, "__self__", None), Route)
    ]
    if undeclared:
        raise RuntimeError(f"routes without a declaration: {', '.join(undeclared)}")
