"""The page behind a sync link in a real Chromium: whoever reads, hears or types their way through it can use it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from protocol.codes import CodeSecret, code_text
from protocol.messages import DeleteTree
from protocol.sharing import Codes
from tests.server.http.test_codes import make_code, redeem
from tests.server.http.test_sharing import Person
from tests.support.browser import AXE, QUIET, RULES, WAIT_MS, chromium
from tests.support.server import mb_server
from tests.support.service import ServiceUnderTest, a_service

pytestmark = pytest.mark.timeout(300)


@dataclass
class Visitor:
    """A person with a browser; everything that it asks for and complains of is kept."""

    server: ServiceUnderTest
    context: BrowserContext
    page: Page
    asked: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.context.on("request", lambda one: self.asked.append(one))
        self.page.on("console", self._complained)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _complained(self, said: ConsoleMessage) -> None:
        told_by_the_page = (
            said.text.startswith("Failed to load resource") and "/api/v1/" in said.location["url"]
        )
        if said.type in ("error", "warning") and not told_by_the_page:
            self.complaints.append(said.text)

    async def opens(self, secret: str, heading: str) -> None:
        """The link, as if it was clicked in a letter."""
        await self.page.goto("about:blank")
        await self.page.goto(f"{self.server.url}/s#{secret}" if secret else f"{self.server.url}/s")
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(heading, timeout=WAIT_MS)

    async def violations(self) -> list[str]:
        """What axe finds, in the light and in the dark."""
        found: list[str] = []
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme)
            if not await self.page.evaluate("() => 'axe' in window"):
                await self.page.evaluate(AXE)
            told: dict[str, Any] = await self.page.evaluate(
                "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES
            )
            assert len(told["passes"]) > 5, "axe looked at nothing"
            found += [
                f"{scheme}: {one['id']} at {[spot['html'] for spot in one['nodes']]}"
                for one in told["violations"]
                + [one for one in told["incomplete"] if one["id"] == "color-contrast"]
            ]
        return found


@asynccontextmanager
async def a_visitor(server: ServiceUnderTest, **how: Any) -> AsyncIterator[Visitor]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=list(QUIET), timeout=120_000
        )
        try:
            context = await browser.new_context(locale="en-GB", timezone_id="Europe/Zurich", **how)
            visitor = Visitor(server, context, await context.new_page())
            visitor.watch()
            yield visitor
        finally:
            await browser.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data", users=("ada",)) as running:
        yield running


@pytest.fixture
async def ada(server: ServiceUnderTest) -> Person:
    return Person(await server.sign_in("ada"))


def offer(server: ServiceUnderTest, name: str, program: bytes) -> None:
    folder = server.data / "downloads"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(program)


async def every_state(server: ServiceUnderTest, ada: Person) -> dict[str, str]:
    """What stands after the # of a link, and the heading that says what became of it."""
    study, given_up = await ada.folder("Knee study"), await ada.folder("Given up")
    short = await make_code(ada, study, seconds=2)
    plain = await make_code(ada, study, label="for Jo")
    pin = await make_code(ada, study, pin=True)
    approve = await make_code(ada, study, approve=True)
    revoked = await make_code(ada, study)
    await ada.caller.raw("DELETE", f"/codes/{revoked.code}")
    full = await make_code(ada, study, devices=1)
    await redeem(server, full.secret)
    gone = await make_code(ada, given_up)
    await ada.follow()
    place = ada.known[given_up].place_revision
    await ada.do(DeleteTree(node=given_up, place_revision=place, cursor=ada.cursor))
    await asyncio.sleep(max(0.0, short.expires_at_ms / 1_000 - time.time()))
    return {
        plain.secret: "Knee study",
        pin.secret: "A folder for you",
        approve.secret: "Knee study",
        short.secret: "This link has expired",
        revoked.secret: "This link was revoked",
        full.secret: "This link is used up",
        gone.secret: "The folder is not there any more",
        code_text(CodeSecret(bytes(16))): "This link opens nothing",
        "": "This link is not whole",
    }


async def test_every_state_is_for_everyone_and_the_key_never_leaves_in_an_address(
    server: ServiceUnderTest, ada: Person
) -> None:
    states = await every_state(server, ada)
    async with a_visitor(server) as jo:
        for secret, heading in states.items():
            await jo.opens(secret, heading)
            assert await jo.violations() == [], heading
        offer(server, "MB-SyncLight 1.0.tar.gz", b"program")  # the page with something to offer
        await jo.opens(next(iter(states)), "Knee study")
        assert await jo.violations() == []
        await jo.page.set_viewport_size(
            {"width": 320, "height": 640}
        )  # reflow, as WCAG asks: no scrolling aside
        assert await jo.page.evaluate("document.documentElement.scrollWidth") <= 320
        assert await jo.violations() == []

        assert jo.complaints == []
        assert len(jo.asked) > 3 * len(states)
        for one in jo.asked:
            if one.url == "about:blank":
                continue
            assert one.url.startswith(server.url + "/"), one.url
            sent_to = one.url.partition("#")[0]  # a browser keeps what stands after the #
            headers = await one.all_headers()
            for secret in filter(None, states):
                assert secret not in sent_to
                assert secret not in str(headers)
            assert "referer" not in headers
        assert await jo.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
            0,
            0,
            "",
        ]


async def test_the_program_arrives_byte_for_byte_under_its_name(
    server: ServiceUnderTest, ada: Person, tmp_path: Path
) -> None:
    program = bytes(range(256)) * 4_000
    offer(server, "MB-SyncLight 1.0.tar.gz", program)
    made = await make_code(ada, await ada.folder("Knee study"))
    async with a_visitor(server) as jo:
        await jo.opens(made.secret, "Knee study")
        async with jo.page.expect_download(timeout=WAIT_MS) as coming:
            await jo.page.get_by_role("link", name="MB-SyncLight 1.0.tar.gz").click()
        download = await coming.value
        await download.save_as(tmp_path / "got")
        assert download.suggested_filename == "MB-SyncLight 1.0.tar.gz"
        assert (tmp_path / "got").read_bytes() == program
        assert jo.complaints == []


async def test_with_the_keyboard_alone_the_link_is_copied_and_it_is_said(
    server: ServiceUnderTest, ada: Person
) -> None:
    made = await make_code(ada, await ada.folder("Knee study"))
    async with a_visitor(server, permissions=["clipboard-read", "clipboard-write"]) as jo:
        await jo.opens(made.secret, "Knee study")
        await jo.page.keyboard.press("Tab")
        await jo.page.keyboard.press("Tab")  # past the line, to the link
        await jo.page.keyboard.press("Enter")
        await expect(jo.page.get_by_role("button").nth(1)).to_have_text("Copied", timeout=WAIT_MS)
        copied = await jo.page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{server.url}/s#{made.secret}"
        assert jo.complaints == []


async def test_a_server_that_cannot_be_reached_is_said_so(server: ServiceUnderTest, ada: Person) -> None:
    made = await make_code(ada, await ada.folder("Knee study"))
    async with a_visitor(server) as jo:
        await jo.opens(made.secret, "Knee study")
        await jo.context.set_offline(True)
        await jo.page.evaluate("window.dispatchEvent(new Event('hashchange'))")
        await expect(jo.page.get_by_role("heading", level=1)).to_have_text(
            "The server cannot be reached", timeout=WAIT_MS
        )
        assert await jo.violations() == []


# ---- the files themselves ----------------------------------------------------------------------------------

SLICES = 3  # of a page of 1,000 there would be many to make


async def a_study(ada: Person) -> tuple[UUID, bytes]:
    """A folder to share, and the bytes of its one large file."""
    study = await ada.folder("Knee study")
    await ada.file("letter <b>to Jo.txt", b"dear Jo", study)
    picture = random.Random(1).randbytes(300_000)
    await ada.file("picture.dcm", picture, study)
    await ada.folder("Empty", study)
    series = await ada.folder("Series 1", study)
    for number in range(SLICES):
        await ada.file(f"{number}.dcm", b"slice %d" % number, series)
    return study, picture


async def shown(jo: Visitor) -> list[str]:
    """The first column of the list."""
    return [text.strip() for text in await jo.page.locator("tbody tr td:first-child").all_inner_texts()]


async def shows_the_files(jo: Visitor) -> None:
    await jo.page.get_by_role("button", name="Show the files").click()
    await expect(jo.page.get_by_role("heading", level=3)).to_have_text("Knee study", timeout=WAIT_MS)


async def test_files_are_listed_and_given_one_by_one(
    server: ServiceUnderTest, ada: Person, tmp_path: Path
) -> None:
    study, picture = await a_study(ada)
    made = await make_code(ada, study, browse=True, devices=1)
    async with a_visitor(server) as jo:
        await jo.opens(made.secret, "Knee study")
        assert await jo.violations() == []
        await shows_the_files(jo)
        assert await shown(jo) == ["Empty", "letter <b>to Jo.txt", "picture.dcm", "Series 1"]
        assert await jo.violations() == []

        async with jo.page.expect_download(timeout=WAIT_MS) as coming:
            await jo.page.get_by_role("button", name="picture.dcm").click()
        download = await coming.value
        await download.save_as(tmp_path / "got")
        assert download.suggested_filename == "picture.dcm"
        assert (tmp_path / "got").read_bytes() == picture
        await expect(jo.page.get_by_role("status")).to_have_text(
            "picture.dcm was downloaded.", timeout=WAIT_MS
        )

        await jo.page.get_by_role("button", name="Series 1").press("Enter")
        await expect(jo.page.get_by_role("heading", level=3)).to_be_focused(timeout=WAIT_MS)
        await expect(jo.page.get_by_role("heading", level=3)).to_have_text("Series 1", timeout=WAIT_MS)
        assert await shown(jo) == ["0.dcm", "1.dcm", "2.dcm"]
        assert await jo.violations() == []
        await jo.page.set_viewport_size({"width": 320, "height": 640})
        assert await jo.page.evaluate("document.documentElement.scrollWidth") <= 320
        await jo.page.get_by_role("navigation").get_by_role("button", name="Knee study").click()
        await jo.page.get_by_role("button", name="Empty").click()
        await expect(jo.page.get_by_text("This folder is empty.")).to_be_visible(timeout=WAIT_MS)
        assert await jo.violations() == []

        await jo.page.reload()  # the same browser is the same device: the link's only one
        await expect(jo.page.get_by_role("heading", level=1)).to_have_text("Knee study", timeout=WAIT_MS)
        await shows_the_files(jo)

        assert jo.complaints == []
        for one in jo.asked:
            assert one.url.startswith((server.url + "/", "about:blank", "blob:" + server.url)), one.url
            assert made.secret not in one.url.partition("#")[0]
            assert "token" not in one.url
    [code] = (await ada.caller.ask("GET", "/codes", answer=Codes)).codes
    [device] = code.devices
    assert device.name.startswith("Browser")
    assert device.read_bytes >= len(picture)
    log = await asyncio.to_thread(mb_server, "audit", "export", "--data", server.data)
    rows = [json.loads(line)["row"] for line in log.stdout.splitlines()]
    assert [row["result"] for row in rows if row["did"] == "download"] == ["done"]


async def test_a_pin_is_asked_for_and_a_browser_may_have_to_wait(
    server: ServiceUnderTest, ada: Person
) -> None:
    study, _ = await a_study(ada)
    made = await make_code(ada, study, browse=True, pin=True, approve=True)
    async with a_visitor(server) as jo:
        await jo.opens(made.secret, "A folder for you")
        assert await jo.violations() == []
        said = jo.page.get_by_role("alert")
        await jo.page.get_by_label("PIN").fill("nothing")
        await jo.page.get_by_label("PIN").press("Enter")
        await expect(said).to_contain_text("The PIN is wrong", timeout=WAIT_MS)
        assert await jo.violations() == []
        await jo.page.get_by_label("PIN").fill(made.pin)
        await jo.page.get_by_label("PIN").press("Enter")
        await expect(said).to_contain_text("lets in each device", timeout=WAIT_MS)
        [code] = (await ada.caller.ask("GET", "/codes", answer=Codes)).codes
        [device] = code.devices
        await ada.caller.raw("PUT", f"/codes/{made.code}/devices/{device.device}")
        await shows_the_files(jo)
        assert jo.complaints == []


async def test_when_the_link_is_revoked_the_page_says_so_and_gives_nothing_more(
    server: ServiceUnderTest, ada: Person
) -> None:
    study, _ = await a_study(ada)
    made = await make_code(ada, study, browse=True)
    async with a_visitor(server) as jo:
        await jo.opens(made.secret, "Knee study")
        await shows_the_files(jo)
        await ada.caller.raw("DELETE", f"/codes/{made.code}")
        await jo.page.get_by_role("button", name="picture.dcm").click()
        await expect(jo.page.get_by_role("heading", level=1)).to_have_text(
            "This link was revoked", timeout=WAIT_MS
        )
        assert await jo.violations() == []
