"""MB-SyncLight's icon, whole: each of its states with a real program behind it, each line of the menu clicked."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import pytest

from sync_client.lock import holder, is_held
from tests.support.codes import CodeMaker
from tests.support.computers import Computer
from tests.support.light import MbSyncLight, files
from tests.support.panel import Panel, a_panel, a_session_bus, a_tray
from tests.support.server import RunningServer
from tests.support.tray_story import Opened, all_lines_were_clicked, offers, shows, stands_still

pytestmark = pytest.mark.timeout(600)

MANY = 120  # deletions that ask first
ALL_HERE = "All that is shared is here"

# Every line that does something, with those above it.
LINES = (
    r"Start MB-SyncLight",
    r"Receive a folder…",
    r"Quit MB-SyncLight",
    r"Open \w+",
    r"Open folder ▸ \w+",
    r"Many changes wait for you in \w+ ▸ Show the folder",
    r"Many changes wait for you in \w+ ▸ Go on: they go to the local trash",
    r"\d+ files? in trouble in \w+ ▸ .+: .+",
    r"\w+ has ended ▸ Show the folder",
    r"\w+ has ended ▸ Forget it \(every file stays\)",
)


async def test_each_state_is_shown_and_each_line_of_the_menu_does_its_work(tmp_path: Path) -> None:
    light, study, scans = MbSyncLight(tmp_path / "light"), tmp_path / "Study", tmp_path / "Scans"
    opened = Opened(tmp_path)
    with RunningServer(tmp_path / "server") as server, a_session_bus(tmp_path) as address:
        server.add_user("ada")
        ada = Computer(tmp_path, "ada")
        ada.login(server, "ada")
        ada.follow("/Home")
        for number in range(MANY):
            ada.write(f"Study/series/{number}.dcm", f"slice {number}".encode())
        ada.write("Study/one.dcm", b"1")
        ada.write("Scans/two.dcm", b"2")
        ada.once()
        maker = CodeMaker(ada)
        async with a_panel(address) as panel:
            with a_tray(light.command("tray"), address, tmp_path) as tray:
                await shows(panel, "offline", "No folder is followed yet")
                await panel.click("Receive a folder…")
                await opened.is_page_next("")
                code = await asyncio.to_thread(maker.make, "/Home/Study")
                assert light("-", study, "--once", stdin=code.link).returncode == 0
                await shows(panel, "offline", "MB-SyncLight is not running")
                with stands_still(server.pid):
                    await panel.click("Start MB-SyncLight")
                    await shows(panel, "starting", detail=f"{MANY + 1} files in 1 folder")
                await shows(panel, "synced", ALL_HERE)
                await panel.click("Open Study")
                await opened.is_next(study)
                with stands_still(server.pid):
                    (study / "one.dcm").unlink()  # it comes back
                    await shows(panel, "syncing")
                await shows(panel, "synced", ALL_HERE)
                assert (study / "one.dcm").read_bytes() == b"1"
                server.stop()
                await shows(panel, "offline", detail="Study: The server cannot be reached")
                server.restart()
                await shows(panel, "synced", ALL_HERE)
                await _trouble(panel, opened, ada, light, study)
                await _mass_change(panel, opened, ada, study)
                code = await asyncio.to_thread(maker.make, "/Home/Scans")
                assert light("-", scans, stdin=code.link).returncode == 0  # the other process goes on with it
                await shows(panel, "synced", ALL_HERE, detail="3 files in 2 folders")
                await panel.click("Open folder", "Scans")
                await opened.is_next(scans)
                await asyncio.to_thread(maker.revoke, code)
                await shows(panel, "error", "Not receiving", detail="Scans: The sync code was revoked.")
                assert "revoked" in await panel.until_told("Scans has ended")
                await panel.click("Scans has ended", "Show the folder")
                await opened.is_next(scans)
                await panel.click("Scans has ended", "Forget it")
                await shows(panel, "synced", ALL_HERE, detail="2 files in 1 folder")
                assert files(scans) == {"two.dcm": b"2"}
                await panel.click("Quit MB-SyncLight")
                await asyncio.to_thread(tray.wait, 60)
                assert not is_held(light.home / "lock")
            all_lines_were_clicked(panel, LINES)


async def _trouble(panel: Panel, opened: Opened, ada: Computer, light: MbSyncLight, study: Path) -> None:
    """A file that this system refuses to hold, then one that is small enough."""
    process = int(holder(light.home / "lock"))
    resource.prlimit(process, resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
    ada.write("Study/three.dcm", b"3" * 3_000_000)
    ada.once()
    await offers(panel, "1 file in trouble in Study")
    await shows(panel, "attention", detail="Study: All but what is listed is here")
    await panel.click("1 file in trouble in Study", "three.dcm: ")
    await opened.is_next(study)
    ada.write("Study/three.dcm", b"3")
    ada.once()
    await shows(panel, "synced", ALL_HERE)
    assert await panel.until_told("1 file arrived in Study") == "Shared by ada."


async def _mass_change(panel: Panel, opened: Opened, ada: Computer, study: Path) -> None:
    ada.delete("Study/series")
    ada.once()
    ada.mb_sync.done("guard", "apply")  # hers: it was meant
    ada.once()
    await offers(panel, "Many changes wait for you in Study")
    await shows(panel, "attention")
    await panel.click("Many changes wait for you in Study", "Show the folder")
    await opened.is_next(study)
    await panel.click("Many changes wait for you in Study", "Go on")
    await shows(panel, "synced", ALL_HERE)
    assert not (study / "series/1.dcm").exists()
