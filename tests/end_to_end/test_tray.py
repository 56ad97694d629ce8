"""The icon in the tray of a Linux desktop: a real process, a real client and server, every click over D-Bus."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from sync_client.tray import icons
from tests.support.computers import Computer, Together, until
from tests.support.forks import environment
from tests.support.panel import a_panel, a_session_bus, a_tray
from tests.support.server import RunningServer
from tests.support.tray_story import shows


def title_is(title: str):  # type: ignore[no-untyped-def]  # what Panel.until takes
    return lambda icon, _: icon["ToolTip"][2] == title


def command(computer: Computer) -> list[str | Path]:
    return [Path(sys.executable).with_name("mb-sync"), "--home", computer.mb_sync.home, "tray"]


def opened(folder: Path) -> list[str]:
    return (folder / "opened").read_text().splitlines() if (folder / "opened").exists() else []


async def test_what_a_person_does_all_day_is_done_from_the_menu(
    server: RunningServer, pair: Together, tmp_path: Path
) -> None:
    a, b = pair.a, pair.b
    with a_session_bus(tmp_path) as address:
        async with a_panel(address) as panel:
            with a_tray(command(a), address, tmp_path) as tray:
                # it starts the client, and shows that all is well
                await shows(panel, "synced", detail="0 files in 1 folder")
                icon = await panel.icon()
                assert [size for size, _, _ in icon["IconPixmap"]] == list(icons.SIZES)

                # what others add is told, listed, and opened where it lies
                b.write("Cohort A/scan_1.dcm", b"picture")
                b.once()
                assert await panel.until_told("1 file added to Cohort A by you on birch") == "scan_1.dcm"
                await panel.until(lambda _, labels: "Recent changes" in labels, "the change is listed")
                await panel.click("Recent changes", "↓ scan_1.dcm")
                await panel.click("Open folder")
                shown = [str(a.at("Cohort A")), str(a.folder)]
                until(lambda: sorted(opened(tmp_path)) == sorted(shown), "both are shown")

                # pause and go on
                await panel.click("Pause syncing", "until I resume it")
                await panel.until(title_is("Paused"), "paused")
                assert a.status()["state"] == "paused"
                await panel.click("Resume syncing")
                await panel.until(title_is("All synced"), "goes on")
                await panel.click("Sync now")

                # a restarted panel shows the icon again
                panel.vanish()
                await panel.appear()
                await panel.until(title_is("All synced"), "the new panel has it")

                # quit ends both
                await panel.click("Quit MB-Sync")
                await asyncio.to_thread(tray.wait, 60)
                assert not a.is_running


async def test_at_login_it_may_be_there_before_the_panel(pair: Together, tmp_path: Path) -> None:
    with a_session_bus(tmp_path) as address, a_tray(command(pair.a), address, tmp_path):
        until(lambda: pair.a.is_running, "it has begun")
        await asyncio.sleep(1)  # it finds no panel
        async with a_panel(address) as panel:
            await panel.until(title_is("All synced"), "the panel shows it")
            await panel.click("Quit MB-Sync")


def test_without_a_desktop_it_says_so_and_a_second_one_gives_way(pair: Together, tmp_path: Path) -> None:
    variables = {name: value for name, value in environment().items() if "DISPLAY" not in name}
    ran = subprocess.run(
        command(pair.a),
        env=variables | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("mb-sync: There is no place for an icon: no desktop session answers")
    assert "`mb-sync status` says the same in a terminal" in ran.stderr
    pair.a.stop()  # it was started: the icon is not what syncs
