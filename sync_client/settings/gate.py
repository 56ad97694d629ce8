"""Who may use the local page: whoever was handed its address, and only from the page itself.

Owns: the token that opens a page once, the session that it is exchanged for, the check of a request's headers.
May import: the standard library.  No network; the clock is an argument.

    token     in the fragment of the address, so that no header, log or server sees it; good once, for two minutes
    session   a header that the page's script sends; never a cookie, which every port of this computer would get

A token that comes twice was stolen or copied: whoever has it could be either of the two, so its session ends.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

TOKEN_SECONDS = 120.0  # from the click to the page
IDLE_SECONDS = 300.0  # an open page asks every few seconds, one that is hidden at least every minute
WHOLE_SECONDS = 12 * 3_600.0
LINGER_SECONDS = 15.0  # after the last knock, so that whoever is turned away is told why
MAX_TOKENS = 16  # handed out and not used yet; the oldest give way
SESSION_HEADER = "X-MB-Session"


class TurnedAway(Exception):
    """Why a request is not answered; never says what a valid one would have to look like."""


@dataclass(slots=True)
class _Session:
    token: bytes  # digest of the one that opened it
    ends_at: float
    idle_at: float


@dataclass(slots=True)
class Gate:
    """Tokens and sessions of one page server.  What is kept of a secret is its digest."""

    clock: Callable[[], float] = time.monotonic
    _tokens: dict[bytes, float] = field(default_factory=dict)  # digest → until when it is good
    _used: set[bytes] = field(default_factory=set)
    _sessions: dict[bytes, _Session] = field(default_factory=dict)
    _knocked_at: float = float("-inf")

    def hand_out(self) -> str:
        """A token for one page."""
        token = secrets.token_urlsafe(32)
        while len(self._tokens) >= MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[_digest(token)] = self.clock() + TOKEN_SECONDS
        return token

    def enter(self, token: str) -> str:
        """The session for a token.  Raises TurnedAway; then a session of the same token has ended as well."""
        known = _digest(token)
        self._knocked_at = self.clock()
        if known in self._used:
            self._sessions = {key: one for key, one in self._sessions.items() if one.token != known}
            raise TurnedAway("used-twice")
        good_until = self._tokens.pop(known, None)
        if good_until is None or good_until < self.clock():
            raise TurnedAway("no-token")
        self._used.add(known)
        session = secrets.token_urlsafe(32)
        now = self.clock()
        self._sessions[_digest(session)] = _Session(known, now + WHOLE_SECONDS, now + IDLE_SECONDS)
        return session

    def admit(self, session: str | None) -> None:
        """Raises TurnedAway unless the session is alive; it then lives on."""
        found = self._sessions.get(_digest(session or ""))
        now = self.clock()
        if found is None or min(found.ends_at, found.idle_at) < now:
            raise TurnedAway("no-session")
        found.idle_at = now + IDLE_SECONDS

    def leave(self, session: str | None) -> None:
        self._knocked_at = self.clock()
        self._sessions.pop(_digest(session or ""), None)

    def is_deserted(self) -> bool:
        """Nobody has a page open, and nobody is on the way to one."""
        now = self.clock()
        self._tokens = {key: until for key, until in self._tokens.items() if until >= now}
        alive = {key: one for key, one in self._sessions.items() if min(one.ends_at, one.idle_at) >= now}
        self._sessions = alive
        return not (self._tokens or self._sessions) and now > self._knocked_at + LINGER_SECONDS


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()


def check_headers(method: str, path: str, headers: Mapping[str, str], *, origin: str) -> None:
    """Whether a request can come from our own page, before anything of it is read.  Raises TurnedAway.

    origin: of this server, `http://127.0.0.1:PORT`.  A page elsewhere cannot forge these: Host (a name that was bound
    anew to this computer says its own), Origin (on every POST), Sec-Fetch-Site (where the browser tells it).
    """
    if not _same(headers.get("Host", ""), origin.removeprefix("http://")):
        raise TurnedAway("host")
    site = headers.get("Sec-Fetch-Site", "same-origin")
    if method == "POST":
        if not _same(headers.get("Origin", ""), origin) or site != "same-origin":
            raise TurnedAway("origin")
        if headers.get("Content-Type", "") != "application/json":
            raise TurnedAway("content-type")
        return
    if method != "GET":
        raise TurnedAway("method")
    is_opened = path == "/" and (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == (
        "navigate",
        "document",
    )
    if site not in ("same-origin", "none") and not is_opened:
        raise TurnedAway("site")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("ascii"))
