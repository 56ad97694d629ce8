"""MB-Sync's icon, whole: each of the seven states with a real client behind it, each line of the menu clicked."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import pytest

from sync_client.home import ClientHome
from sync_client.notice_choice import read_choice
from tests.support.computers import Computer, until
from tests.support.panel import Panel, a_panel, a_session_bus, a_tray
from tests.support.server import RunningServer
from tests.support.tray_story import Opened, all_lines_were_clicked, offers, shows, stands_still

pytestmark = pytest.mark.timeout(600)

MANY = 120  # deletions that ask first
TROUBLES = 9  # one more than the menu lists

# Every line of MB-Sync's menu that does something, with those above it.  What stands in no story is found below.
LINES = (
    r"Set up MB-Sync…",
    r"Quit",
    r"Start MB-Sync",
    r"Choose folders…",
    r"Open \w+",
    r"Open folder ▸ \w+( \(.+\))?",
    r"Recent changes ▸ [↑↓ ] .+",
    r"Recent changes ▸ Show all…",
    r"Sync now",
    r"Pause syncing ▸ for 1 hour",
    r"Pause syncing ▸ for 4 hours",
    r"Pause syncing ▸ for 24 hours",
    r"Pause syncing ▸ until I resume it",
    r"Resume syncing",
    r"\d+ deletions? waits? for you in \w+ ▸ Show the folder",
    r"\d+ deletions? waits? for you in \w+ ▸ Go on: it was meant",
    r"\d+ deletions? waits? for you in \w+ ▸ Put everything back",
    r"\w+ is large and waits ▸ Have it on this computer",
    r"\w+ is large and waits ▸ Keep it off this computer",
    r"\d+ conflicts? to decide ▸ \S+ ▸ Show both files",
    r"\d+ conflicts? to decide ▸ \S+ ▸ Keep mine \(.+\)",
    r"\d+ conflicts? to decide ▸ \S+ ▸ Keep theirs \(.+\)",
    r"\d+ conflicts? to decide ▸ \S+ ▸ Keep both",
    r"\d+ items? in trouble ▸ .+: .+",
    r"\d+ items? in trouble ▸ 1 more…",
    r"No notices for 1 hour",
    r"Open MB-Sync in the browser",
    r"Settings…",
    r"Quit MB-Sync",
)


async def test_each_state_is_shown_and_each_line_of_the_menu_does_its_work(
    server: RunningServer, tmp_path: Path
) -> None:
    server.add_user("mia")
    a, b = Computer(tmp_path, "anvil"), Computer(tmp_path, "birch")
    home = ClientHome(a.mb_sync.home)
    opened = Opened(tmp_path)
    command = [Path(sys.executable).with_name("mb-sync"), "--home", home.path, "tray"]
    with a_session_bus(tmp_path) as address:
        async with a_panel(address) as panel:
            # nobody is signed in
            with a_tray(command, address, tmp_path) as tray:
                await shows(panel, "offline", "MB-Sync is not running")
                await panel.click("Set up MB-Sync…")
                await opened.is_page_next("")
                await panel.click("Quit")
                await asyncio.to_thread(tray.wait, 60)
            panel.watcher.items.clear()  # it has gone
            a.login(server, "mia")
            b.login(server, "mia")
            b.follow("/Home/study", create=True)

            with a_tray(command, address, tmp_path) as tray:
                await shows(panel, "synced", detail="No folder is followed yet")
                await panel.click("Choose folders…")
                await opened.is_page_next("first")
                a.follow("/Home/study")
                await shows(panel, "synced", detail="0 files in 1 folder")
                await panel.click("Open folder")  # of this name
                await opened.is_next(a.folder)

                await _on_its_way(panel, a, server)
                await _paused(panel, a)
                await _what_was_done(panel, opened, a, b)
                await _in_trouble(panel, opened, a)
                await _mass_changes(panel, opened, a)
                await _conflicts(panel, opened, a, b)
                await _large_folders(panel, a, b)
                await _two_folders(panel, opened, a)

                await panel.click("No notices for 1 hour")
                until(lambda: not read_choice(home).wants(urgent=True, now=time.time() + 3_500), "silence")
                for line, place in (("Open MB-Sync in the browser", "home"), ("Settings…", "settings")):
                    await panel.click(line)
                    await opened.is_page_next(place)
                await panel.click("Quit MB-Sync")
                await asyncio.to_thread(tray.wait, 60)
                assert not a.is_running
            all_lines_were_clicked(panel, LINES)


async def _on_its_way(panel: Panel, a: Computer, server: RunningServer) -> None:
    """Starting, syncing, offline; and not running at all."""
    a.mb_sync.done("limit", "--up", "20K")
    a.write("large.bin", random.Random(1).randbytes(300_000))
    await shows(panel, "syncing", detail="0 of 1 file, ")
    a.mb_sync.done("limit", "--off")
    await shows(panel, "synced", detail="1 file in 1 folder")
    a.stop()
    await shows(panel, "offline", "MB-Sync is not running")
    with stands_still(server.pid):
        await panel.click("Start MB-Sync")
        await shows(panel, "starting")
    await shows(panel, "synced", detail="1 file in 1 folder")
    server.stop()
    await shows(panel, "offline", detail="The server cannot be reached")
    server.restart()
    await shows(panel, "synced")


async def _paused(panel: Panel, a: Computer) -> None:
    for line, hours in (("for 1 hour", 1), ("for 4 hours", 4), ("for 24 hours", 24), ("until I", None)):
        await panel.click("Pause syncing", line)
        await shows(panel, "paused", detail="1 file in 1 folder")
        ends = a.status()["paused_until"]
        assert ends is None if hours is None else abs(ends - time.time() - hours * 3_600) < 300
        await panel.click("Resume syncing")
        await shows(panel, "synced")


async def _what_was_done(panel: Panel, opened: Opened, a: Computer, b: Computer) -> None:
    b.write("Cohort/scan_1.dcm", b"picture")
    b.once()
    await panel.click("Sync now")
    until(lambda: a.at("Cohort/scan_1.dcm").exists(), "it is fetched")
    await panel.until(
        lambda _, __: "Recent changes ▸ ↓ scan_1.dcm (added by you on birch)" in panel.offered, "it is listed"
    )
    await panel.click("Recent changes", "↓ scan_1.dcm")
    await opened.is_next(a.at("Cohort"))
    await panel.click("Recent changes", "Show all…")
    await opened.is_page_next("activity")


async def _in_trouble(panel: Panel, opened: Opened, a: Computer) -> None:
    for number in range(TROUBLES):
        os.mkfifo(a.at(f"Cohort/pipe_{number}"))
    await shows(panel, "attention", detail=f"{TROUBLES} items need your attention")
    await panel.click(f"{TROUBLES} items in trouble", "pipe_0: ")
    await opened.is_next(a.at("Cohort"))
    await panel.click(f"{TROUBLES} items in trouble", "1 more…")
    await opened.is_page_next("problems")
    for number in range(TROUBLES):
        a.at(f"Cohort/pipe_{number}").unlink()
    await shows(panel, "synced")
    # and the folder as a whole
    elsewhere = a.folder.with_name("on another disk")
    a.folder.rename(elsewhere)
    await panel.click("Sync now")
    await shows(panel, "error")
    elsewhere.rename(a.folder)
    await panel.click("Sync now")
    await shows(panel, "synced")


async def _mass_changes(panel: Panel, opened: Opened, a: Computer) -> None:
    for number in range(MANY):
        a.write(f"series/{number}.dcm", f"slice {number}".encode())
    a.wait()
    for answer, left in (("Put everything back", MANY), ("Go on: it was meant", 0)):
        a.at("series").rename(a.folder.with_name(f"away, then {left}"))
        waiting = f"{MANY + 1} deletions wait for you in "
        await panel.until_told(waiting)
        await offers(panel, waiting)
        await shows(panel, "attention")
        await panel.click(waiting, "Show the folder")
        await opened.is_next(a.folder)
        await panel.click(waiting, answer)
        await shows(panel, "synced")
        assert len([path for path in a.tree() if path.startswith("series/")]) == left


async def _conflicts(panel: Panel, opened: Opened, a: Computer, b: Computer) -> None:
    for name in ("one", "two", "three"):
        a.write(f"{name}.txt", b"of both")
    a.wait()
    b.once()
    a.mb_sync.done("pause")
    for name in ("one", "two", "three"):
        b.write(f"{name}.txt", b"of birch, by mia")
        a.write(f"{name}.txt", b"of anvil, and longer")
    b.once()
    await shows(panel, "paused")
    await panel.click("Resume syncing")
    assert "Decide in the tray's menu" in await panel.until_told("3 conflicts to decide")
    await offers(panel, "3 conflicts to decide")
    await panel.click("3 conflicts to decide", "one.txt", "Show both files")
    await opened.is_next(a.folder)
    await panel.click("3 conflicts to decide", "one.txt", "Keep mine (20 B, mia)")
    await offers(panel, "2 conflicts to decide")
    await panel.click("2 conflicts to decide", "two.txt", "Keep theirs (16 B, mia)")
    await offers(panel, "1 conflict to decide")
    await panel.click("1 conflict to decide", "three.txt", "Keep both")
    await offers(panel, "1 conflict", no_more=True)
    a.wait()
    assert a.read("one.txt") == b"of anvil, and longer"
    assert a.read("two.txt") == a.read("three.txt") == b"of birch, by mia"
    texts = sorted(path for path in a.tree() if path.endswith(".txt"))
    assert len(texts) == 4, texts


async def _large_folders(panel: Panel, a: Computer, b: Computer) -> None:
    a.mb_sync.done("limit", "--new-folders", "1K")
    for name in ("raw", "rawer"):
        b.write(f"{name}/1.dcm", b"1" * 2_000)
    b.once()
    await offers(panel, "rawer is large and waits")
    await shows(panel, "attention")
    await panel.click("raw is large and waits", "Have it on this computer")
    await offers(panel, "raw is", no_more=True)
    await panel.click("rawer is large and waits", "Keep it off this computer")
    await shows(panel, "synced")
    assert a.read("raw/1.dcm") == b"1" * 2_000
    assert not a.at("rawer").exists()


async def _two_folders(panel: Panel, opened: Opened, a: Computer) -> None:
    other = a.folder.with_name("Other")
    a.mb_sync.done("add", "/Home/other", other, "--create")
    await offers(panel, "Open folder")
    await panel.click("Open folder", "Other")
    await opened.is_next(other)
