"""Who may use the local page."""

from __future__ import annotations

import pytest

from sync_client.settings.gate import (
    IDLE_SECONDS,
    LINGER_SECONDS,
    MAX_TOKENS,
    TOKEN_SECONDS,
    WHOLE_SECONDS,
    Gate,
    TurnedAway,
    check_headers,
)

ORIGIN = "http://127.0.0.1:4711"
POST = {
    "Host": "127.0.0.1:4711",
    "Origin": ORIGIN,
    "Content-Type": "application/json",
    "Sec-Fetch-Site": "same-origin",
}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(clock)


def refused(act: object, *given: object) -> str:
    with pytest.raises(TurnedAway) as why:
        act(*given)  # type: ignore[operator]
    return str(why.value)


def test_a_token_opens_one_session(gate: Gate) -> None:
    session = gate.enter(gate.hand_out())
    gate.admit(session)
    assert refused(gate.admit, session + "x") == "no-session"
    assert refused(gate.admit, None) == "no-session"
    assert refused(gate.enter, session) == "no-token"


def test_a_token_that_comes_twice_ends_the_session_of_whoever_was_first(gate: Gate) -> None:
    token, other = gate.hand_out(), gate.enter(gate.hand_out())
    session = gate.enter(token)
    assert refused(gate.enter, token) == "used-twice"
    assert refused(gate.admit, session) == "no-session"
    assert refused(gate.enter, token) == "used-twice"
    gate.admit(other)


def test_a_token_is_good_for_two_minutes(gate: Gate, clock: Clock) -> None:
    token, late = gate.hand_out(), gate.hand_out()
    clock.now += TOKEN_SECONDS
    gate.enter(token)
    clock.now += 1
    assert refused(gate.enter, late) == "no-token"


def test_the_oldest_of_too_many_tokens_gives_way(gate: Gate) -> None:
    tokens = [gate.hand_out() for _ in range(MAX_TOKENS + 1)]
    assert refused(gate.enter, tokens[0]) == "no-token"
    gate.enter(tokens[1])


def test_a_session_lives_while_it_is_used_but_not_for_ever(gate: Gate, clock: Clock) -> None:
    idle, used = gate.enter(gate.hand_out()), gate.enter(gate.hand_out())
    begun = clock.now
    while clock.now + IDLE_SECONDS <= begun + WHOLE_SECONDS:
        clock.now += IDLE_SECONDS
        gate.admit(used)
    assert refused(gate.admit, idle) == "no-session"
    clock.now = begun + WHOLE_SECONDS + 1
    assert refused(gate.admit, used) == "no-session"


def test_nobody_is_there_when_the_last_one_has_left(gate: Gate, clock: Clock) -> None:
    assert gate.is_deserted()
    token = gate.hand_out()
    assert not gate.is_deserted()
    session = gate.enter(token)
    assert not gate.is_deserted()
    gate.leave(session)
    assert not gate.is_deserted()  # for a moment
    clock.now += LINGER_SECONDS + 1
    assert gate.is_deserted()
    gate.enter(gate.hand_out())
    clock.now += IDLE_SECONDS + 1
    assert gate.is_deserted()


def test_no_secret_is_kept_as_it_is(gate: Gate) -> None:
    token = gate.hand_out()
    session = gate.enter(token)
    assert token not in repr(gate)
    assert session not in repr(gate)


# ---- headers -----------------------------------------------------------------------------------------------


def test_our_own_page_gets_through() -> None:
    check_headers("POST", "/ask/now", POST, origin=ORIGIN)
    check_headers("GET", "/", {"Host": "127.0.0.1:4711"}, origin=ORIGIN)
    check_headers("GET", "/page.css", POST, origin=ORIGIN)
    clicked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    check_headers("GET", "/", {"Host": "127.0.0.1:4711"} | clicked, origin=ORIGIN)


@pytest.mark.parametrize(
    ("method", "path", "change", "why"),
    [
        ("POST", "/ask/now", {"Host": "evil.example:4711"}, "host"),  # a name bound anew to this computer
        ("POST", "/ask/now", {"Host": "localhost:4711"}, "host"),
        ("POST", "/ask/now", {"Host": "127.0.0.1:4712"}, "host"),
        ("POST", "/ask/now", {"Host": "127.0.0.1:4711.evil.example"}, "host"),
        ("POST", "/ask/now", {"Host": ""}, "host"),
        ("GET", "/", {"Host": "evil.example:4711"}, "host"),
        ("POST", "/ask/now", {"Origin": "http://evil.example"}, "origin"),
        ("POST", "/ask/now", {"Origin": "null"}, "origin"),
        ("POST", "/ask/now", {"Origin": ""}, "origin"),
        ("POST", "/ask/now", {"Origin": "http://127.0.0.1:4712"}, "origin"),
        ("POST", "/ask/now", {"Origin": "https://127.0.0.1:4711"}, "origin"),
        ("POST", "/ask/now", {"Sec-Fetch-Site": "same-site"}, "origin"),
        ("POST", "/ask/now", {"Content-Type": "text/plain"}, "content-type"),
        ("POST", "/ask/now", {"Content-Type": "application/x-www-form-urlencoded"}, "content-type"),
        ("POST", "/ask/now", {"Content-Type": ""}, "content-type"),
        ("PUT", "/ask/now", {}, "method"),
        ("OPTIONS", "/ask/now", {}, "method"),
        ("GET", "/mb-sync.js", {"Sec-Fetch-Site": "cross-site"}, "site"),
        ("GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, "site"),
        ("GET", "/", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "script"}, "site"),
    ],
)
def test_whoever_comes_from_elsewhere_does_not(
    method: str, path: str, change: dict[str, str], why: str
) -> None:
    with pytest.raises(TurnedAway, match=f"^{why}$"):
        check_headers(method, path, POST | change, origin=ORIGIN)
