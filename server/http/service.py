"""What every handler may use.

Owns: nothing of its own; it holds what server.app opened.
May import: aiohttp, protocol, server.access, server.audit, server.chunks, server.database, server.hooks,
server.http, server.spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from protocol.messages import Retention
from server.access.admission import Admissions
from server.access.code_use import CodeUse
from server.access.cursors import Cursors
from server.access.passwords import Passwords
from server.audit.sealing import Heads
from server.catalog.counts import Remembered
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.downloads import Downloads
from server.hooks.looking import Looking
from server.http.crowd import Crowd
from server.http.denials import Denials
from server.http.open_requests import OpenRequests
from server.spaces.uploads import Uploads
from server.spaces.wakeups import Wakeups
from server.tls import Tls


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server.  clock: milliseconds since 1970.
    default_quota: bytes of a space without a quota of its own; None: no limit."""

    database: Database
    store: ChunkStore
    uploads: Uploads
    looking: Looking
    admissions: Admissions
    code_use: CodeUse
    cursors: Cursors
    passwords: Passwords
    wakeups: Wakeups
    open_requests: OpenRequests
    crowd: Crowd
    denials: Denials
    heads: Heads
    clock: Callable[[], int]
    server_id: UUID
    version: str
    behind_proxy: bool
    tls: Tls | None  # None: plain HTTP, on this computer or to a proxy
    retention: Retention
    default_quota: int | None
    downloads: Downloads
    counted: Remembered


SERVICE = web.AppKey("service", Service)
