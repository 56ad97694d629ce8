"""Both icons in a panel that people use, light and dark: seen by their shape, their menus under a mouse."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.codes import CodeMaker
from tests.support.computers import Together, until
from tests.support.light import MbSyncLight
from tests.support.panel import a_tray
from tests.support.real_panel import a_real_panel
from tests.support.server import RunningServer
from tests.support.tray_story import Opened

pytestmark = pytest.mark.timeout(300)


async def test_mb_sync_is_paused_by_the_mouse_on_a_dark_panel(pair: Together, tmp_path: Path) -> None:
    a = pair.a
    a.write("scan.dcm", b"picture")
    a.start_working()
    a.wait()
    command = [Path(sys.executable).with_name("mb-sync"), "--home", a.mb_sync.home, "tray"]
    (tmp_path / "desk").mkdir()
    async with a_real_panel(tmp_path / "desk", dark=True) as panel:
        with a_tray(command, panel.address, tmp_path):
            await panel.until_seen("synced")
            await panel.click_at("Pause syncing", "until I resume it")
            await panel.until_seen("paused")
            assert a.status()["state"] == "paused"
            await panel.click_at("Resume syncing")
            await panel.until_seen("synced")
            await panel.click_at("Open ")
            await Opened(tmp_path).is_next(a.folder)


async def test_mb_synclight_shows_the_folder_and_its_end_on_a_light_panel(
    server: RunningServer, pair: Together, tmp_path: Path
) -> None:
    a, light, folder = pair.a, MbSyncLight(tmp_path / "light"), tmp_path / "Study"
    a.write("Study/scan.dcm", b"picture")
    a.once()
    maker = CodeMaker(a)
    code = await asyncio.to_thread(maker.make, "/Home/study/Study")
    assert light("-", folder, "--once", stdin=code.link).returncode == 0
    (tmp_path / "desk").mkdir()
    async with a_real_panel(tmp_path / "desk", dark=False) as panel:
        with a_tray(light.command("tray"), panel.address, tmp_path):
            await panel.until_seen("synced")
            await panel.click_at("Open Study")
            await Opened(tmp_path).is_next(folder)
            await asyncio.to_thread(maker.revoke, code)
            await panel.until_seen("error")
            await panel.click_at("Study has ended", "Forget it")
            until(lambda: light.list() == [], "it is forgotten")
            await panel.until_seen("offline")
            assert (folder / "scan.dcm").read_bytes() == b"picture"
