"""A page elsewhere in the same browser, another program, another user: the local page does nothing for them."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Window
from tests.support.desk import Desk
from tests.support.server import RunningServer

ASK = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def here(desk: Desk, server: RunningServer, user: str) -> Desk:
    desk.sign_in(server, user)
    return desk


@contextmanager
def a_hostile_page(html: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://evil.example:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(
    origin: str, path: str, body: object = None, *, method: str = "POST", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """As another program of this user may ask."""
    where = urlsplit(origin)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    given = ASK | {"Origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, json.dumps(body or {}) if method == "POST" else None, given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, dict(answer.getheaders())


def split(address: str) -> tuple[str, str]:
    """The origin, and the token in the fragment."""
    found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/#([\w-]{43})/\w*", address)
    assert found, address
    return found[1], found[2]


def test_without_a_session_nothing_is_told_and_each_answer_forbids_whatever_the_page_does_not_need(
    here: Desk,
) -> None:
    origin, token = split(here.address())
    for path in ("/ask/now", "/ask/remote", "/ask/show", "/ask/nothing"):
        status, text, headers = asked(origin, path)
        assert (status, json.loads(text)["error"]) == (403, "no-session")
        assert "Access-Control-Allow-Origin" not in headers
    for path in (
        "/",
        "/page.css",
        "/mb-sync.js",
        "/strings/de.json",
        "/nothing",
        "/../gate.py",
        "/%2e%2e/gate.py",
    ):
        status, text, headers = asked(origin, path, method="GET")
        assert status == (404 if "nothing" in path or "gate" in path else 200), path
        policy = headers["Content-Security-Policy"]
        for said in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert said in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert token not in text
    status, text, _ = asked(origin, "/ask/session", {"token": token})
    session = json.loads(text)["value"]["session"]
    status, text, _ = asked(origin, "/ask/now", X_MB_Session=session)
    assert status == 200
    assert json.loads(text)["value"]["status"]["server"]
    for change in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Content-Type": "text/plain"},
    ):
        headers = {"X_MB_Session": session} | change
        assert asked(origin, "/ask/now", **headers)[0] == 403
    assert asked(origin, "/ask/nothing", X_MB_Session=session)[0] == 404
    assert asked(origin, "/ask/leave", X_MB_Session=session)[0] == 200
    assert asked(origin, "/ask/now", X_MB_Session=session)[0] == 403


def test_bad_bodies_get_one_clear_answer(here: Desk) -> None:
    origin, token = split(here.address())
    session = json.loads(asked(origin, "/ask/session", {"token": token})[1])["value"]["session"]
    for body in ([], "x", 1, None):
        assert asked(origin, "/ask/session", body or [body])[0] == 403
    assert asked(origin, "/ask/remote", {"path": "x" * 300_000}, X_MB_Session=session)[0] == 413
    for name, body in {
        "pause": {"seconds": "soon"},
        "add": {"remote": "/Home", "local": "relative"},
        "activity": {"limit": 1e9},
        "show": {"path": "/etc/passwd"},
        "place": {"local": 7},
        "sign-in": {"user": "ana", "password": "x"},
        "greet": {"server": ["x"]},
    }.items():
        status, text, _ = asked(origin, f"/ask/{name}", body, X_MB_Session=session)
        assert (status, json.loads(text)["ok"]) == (200, False), name
        assert "Traceback" not in text
    assert here.opened() == []


def test_an_address_that_was_stolen_opens_nothing_once_it_was_used_and_then_ends_both(
    here: Desk, browser: Browser
) -> None:
    address = here.address()
    origin, token = split(address)
    window = Window(browser)
    window.page.goto(address)
    here.shows(window, "Overview")
    assert token not in window.page.url
    assert window.page.evaluate("history.length") <= 2
    status, text, _ = asked(origin, "/ask/session", {"token": token})
    assert (status, json.loads(text)["error"]) == (403, "used-twice")
    here.shows(window, "This page has ended")
    assert window.violations() == []
    thief = Window(browser)
    thief.page.goto(address)
    here.shows(thief, "This address was used twice")
    assert thief.violations() == []
    again = Window(browser)
    again.page.goto(f"{origin}/")
    here.shows(again, "This page has ended")


def test_a_page_elsewhere_in_the_same_browser_reaches_nothing(here: Desk, browser: Browser) -> None:
    address = here.address()
    origin, token = split(address)
    window = Window(browser)
    window.page.goto(address)
    here.shows(window, "Overview")
    attack = f"""<!doctype html><title>hostile</title><iframe id=frame src="{origin}/"></iframe>
        <img src="{origin}/icon.svg" id=image><form id=form method=post enctype="text/plain" target=other
        action="{origin}/ask/pause"><input name='{{"x":"' value='"}}'></form><iframe name=other></iframe>
        <script src="{origin}/words.js" type=module></script>
        <script>
        const told = [];
        const tries = [
          fetch("{origin}/ask/now", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body: "{{}}"}}),
          fetch("{origin}/ask/pause", {{method: "POST", mode: "no-cors", body: "{{}}"}}),
          fetch("{origin}/ask/session", {{method: "POST", mode: "no-cors", headers: {{"Content-Type": "text/plain"}},
            body: JSON.stringify({{token: "{token}"}})}}),
          fetch("{origin}/mb-sync.js"),
          fetch("{origin}/", {{mode: "no-cors", credentials: "include"}}),
        ];
        document.getElementById("form").submit();
        Promise.allSettled(tries).then(async (all) => {{
          for (const {{status, value}} of all) {{
            told.push(status === "fulfilled" ? `${{value.type}} ${{await value.text()}}` : "refused");
          }}
          window.told = told;
        }});
        </script>"""
    with a_hostile_page(attack) as evil:
        hostile = Window(browser)
        answers: list[tuple[str, int]] = []
        hostile.context.on("response", lambda one: answers.append((one.url, one.status)))
        hostile.page.goto(evil)
        hostile.page.wait_for_function("window.told")
        told = hostile.page.evaluate("window.told")
        assert [one for one in told if one not in ("refused", "opaque ")] == []
        assert hostile.page.evaluate("document.getElementById('image').naturalWidth") == 0
        hostile.page.wait_for_timeout(300)
        for frame in hostile.page.frames[1:]:
            assert "MB-Sync" not in frame.content()
        ours = [(url, status) for url, status in answers if url.startswith(origin)]
        assert ours
        assert {status for _, status in ours} == {403}
        # the same server under another name: DNS that was bound anew
        port = urlsplit(origin).port
        hostile.page.goto(f"http://evil.example:{port}/#{token}/")
        assert hostile.page.inner_text("body") == '{"ok": false, "error": "host"}'
    assert here.mb_sync.json("status")["state"] != "paused"
    window.page.get_by_role("link", name="Activity").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Activity")  # the session goes on
    assert window.complaints == []


def test_the_page_server_ends_by_itself_when_nobody_comes(here: Desk) -> None:
    origin, token = split(here.address())
    session = json.loads(asked(origin, "/ask/session", {"token": token})[1])["value"]["session"]
    assert split(here.address())[0] == origin  # one server, another token
    asked(origin, "/ask/leave", X_MB_Session=session)
    log = (here.mb_sync.home / "log" / "settings.log").read_text("utf-8")
    assert token not in log
    assert session not in log
