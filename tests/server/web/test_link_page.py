"""The page behind a sync link: all of it is the server's own, and it says no more than the link's holder may know."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from protocol.codes import CodeSecret, code_text
from protocol.errors import CodeRevoked, MedicalBlocksError, TooManyTries, WrongCode
from protocol.sharing import CodeShown, Download, LookAtCode
from server.http.routes import On
from server.web.link_page import PAGES
from tests.server.http.test_codes import listed, make_code, redeem, refusal
from tests.server.http.test_sharing import Person
from tests.support.service import ServiceUnderTest, a_service


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada",)) as running:
        yield running


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Person:
    return Person(await server.sign_in("ada"))


async def look(server: ServiceUnderTest, code: str) -> CodeShown:
    shown: CodeShown = await server.nobody().ask(
        "POST", "/codes/look", answer=CodeShown, body=LookAtCode(code=code)
    )
    return shown


async def got(server: ServiceUnderTest, path: str) -> tuple[int, str, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as reply:
        return reply.status, await reply.text(), dict(reply.headers)


def test_these_are_all_the_pages_and_nobody_signs_in_for_them() -> None:
    assert {(one.method, one.path, one.on) for one in PAGES} == {
        ("GET", "/s", On.NOTHING),
        ("GET", "/s/page.css", On.NOTHING),
        ("GET", "/s/page.js", On.NOTHING),
        ("GET", "/s/files.js", On.NOTHING),
        ("GET", "/s/downloads/{file}", On.NOTHING),
    }


async def test_the_page_runs_and_loads_nothing_but_its_own(server: ServiceUnderTest) -> None:
    status, page, headers = await got(server, "/s")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert loaded == ["s/page.css", "s/page.js"]
    assert not re.search(r"<style|style=|\bon\w+=|<script(?! src=)", page)
    _, script, _ = await got(server, "/s/page.js")
    assert re.findall(r'from "([^"]*)"', script) == ["./files.js"]
    for path in [*loaded, "s/files.js"]:
        status, text, headers = await got(server, f"/{path}")
        assert status == 200
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"https?:|url\(|@import|innerHTML|sessionStorage|document\.write", text)


async def test_looking_tells_what_it_opens_and_uses_up_no_device(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Study"), label="for Jo", devices=1)
    for _ in range(3):
        shown = await look(server, made.secret)
    assert (shown.name, shown.label, shown.shared_by) == ("Study", "for Jo", "ada")
    assert (shown.expires_at_ms, shown.used_up, shown.downloads) == (made.expires_at_ms, False, [])
    assert (await listed(ada))[0].devices == []
    await redeem(server, made.secret)
    assert (await look(server, made.secret)).used_up


async def test_without_the_pin_it_does_not_say_which_folder(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Study"), label="for Jo", pin=True)
    shown = await look(server, made.secret)
    assert (shown.name, shown.label, shown.pin) == ("", "", True)


async def test_who_lacks_a_whole_secret_learns_nothing_and_is_throttled(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    await ada.caller.raw("DELETE", f"/codes/{made.code}")
    assert isinstance(await refusal(look(server, made.secret)), CodeRevoked)
    told: set[tuple[type[MedicalBlocksError], str]] = set()
    for code in ("", "x", made.secret[:-1], code_text(CodeSecret(bytes(16)))):
        error = await refusal(look(server, code))
        told.add((type(error), str(error)))
    assert len(told) == 1
    assert next(iter(told))[0] is WrongCode
    errors = [await refusal(look(server, "x")) for _ in range(30)]
    assert isinstance(errors[-1], TooManyTries)


async def test_the_operators_downloads_are_offered_with_their_hashes(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Study"))
    folder = server.data / "downloads"
    folder.mkdir()
    (folder / "MB-SyncLight 1.0.tar.gz").write_bytes(b"program")
    (folder / ".hidden").write_bytes(b"no")
    (folder / "inside").mkdir()
    (folder / "link").symlink_to(server.data / "server.db")
    program = hashlib.sha256(b"program").hexdigest()
    assert (await look(server, made.secret)).downloads == [
        Download(name="MB-SyncLight 1.0.tar.gz", size=7, sha256=program)
    ]
    status, text, headers = await got(server, "/s/downloads/MB-SyncLight%201.0.tar.gz")
    assert (status, text) == (200, "program")
    assert headers["Content-Disposition"].startswith("attachment")
    for name in ("link", ".hidden", "inside", "none", "..%2Fserver.db", "%2e%2e/server.db"):
        assert (await got(server, f"/s/downloads/{name}"))[0] == 404, name
    await asyncio.to_thread((folder / "MB-SyncLight 1.0.tar.gz").write_bytes, b"another program")
    assert (await look(server, made.secret)).downloads[0].sha256 != program
