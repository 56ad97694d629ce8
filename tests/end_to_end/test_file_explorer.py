"""Files (Nautilus) on a real desktop: the emblems tell the truth as it changes, each line of the menu does its work."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from sync_client.lock import holder
from tests.support.computers import Computer, Together, until
from tests.support.file_explorer import MENU_ITEM, FileExplorer, a_file_explorer, notices_of
from tests.support.light import MbSyncLight
from tests.support.mb_sync import MbSync
from tests.support.server import RunningServer

GREEN, BLUE, AMBER, GREY = (0x1A, 0x7F, 0x37), (0x1F, 0x6F, 0xEB), (0x9A, 0x67, 0x00), (0x6E, 0x77, 0x81)
SLOW = 400_000  # bytes, at the least rate that a person may set


def a_person(base: Path) -> dict[str, str]:
    """With an account of their own on this computer.  What a browser would show is written to `opened`."""
    home = base / "person"
    home.mkdir()
    browser = base / "bin" / "xdg-open"
    browser.parent.mkdir()
    browser.write_text(f'#!/bin/sh\necho "$1" >> {base}/opened\n')
    browser.chmod(0o755)
    return {
        "HOME": str(home),
        "PATH": f"{browser.parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


def in_session(computer: Computer, variables: dict[str, str]) -> MbSync:
    return MbSync(computer.mb_sync.home, variables=tuple(variables.items()))


def told(notices: Callable[[], list[tuple[str, str]]], title: str) -> str:
    """The text of the notice with this title, once it is told."""
    until(lambda: any(one[0] == title for one in notices()), f"told: {title}")
    return next(text for what, text in reversed(notices()) if what == title)


def labels(explorer: FileExplorer, name: str) -> list[str]:
    """Of our part of its menu."""
    found = [line.name for line in explorer.open_menu(name, "MB-Sync")]
    return found[found.index("Synced") :] if "Synced" in found else []


def test_emblems_and_menu_in_a_real_file_explorer(
    server: RunningServer, pair: Together, tmp_path: Path
) -> None:
    a = pair.a
    a.write("Cohort/first.txt", b"for an outside collaborator")
    a.write("scan.dcm", b"DICM" * 300)
    a.write(".mbignore", b"*.log\n")
    a.start_working()
    a.wait()
    variables = a_person(tmp_path)
    in_session(a, variables).done("explorer", "on")
    (tmp_path / "desk").mkdir()
    with a_file_explorer(tmp_path / "desk", a.folder, variables) as explorer, notices_of(explorer) as notices:
        # what is synced says so
        explorer.until(lambda: explorer.has("scan.dcm", GREEN), "the file is synced")
        explorer.until(lambda: explorer.has("Cohort", GREEN), "so is the folder")

        # what is on its way, what cannot be synced, and what is not wanted
        a.mb_sync.done("limit", "--up", "20K")
        a.write("large.bin", os.urandom(SLOW))
        explorer.until(lambda: explorer.has("large.bin", BLUE), "it is on its way")
        assert not explorer.has("large.bin", GREEN)
        os.mkfifo(a.at("pipe"))
        a.write("notes.log", b"not this")
        explorer.until(lambda: explorer.has("pipe", AMBER), "a pipe cannot be synced")
        explorer.until(lambda: explorer.has("notes.log", GREY), "ignored")
        a.at("pipe").unlink()
        a.mb_sync.done("limit", "--off")
        explorer.until(lambda: explorer.has("large.bin", GREEN), "it has arrived")
        assert not explorer.has("large.bin", BLUE)

        # the menu makes a code that opens the folder
        assert labels(explorer, "Cohort")[:4] == [
            "Synced",
            "Copy a sync code (link)",
            "Share…",
            "Keep it off this computer",
        ]
        assert not next(line for line in explorer.shown(MENU_ITEM) if line.name == "Synced").enabled
        explorer.click("Cohort", "MB-Sync", "Copy a sync code")
        text = told(notices, "The link is copied")
        assert text.startswith("Whoever has it may read Cohort until ")
        link = explorer.clipboard()
        assert link.startswith(server.url + "/s#")
        light = MbSyncLight(tmp_path / "light")
        ran = light("-", tmp_path / "given", "--once", stdin=link + "\n")
        assert ran.returncode == 0, ran.stderr
        assert (tmp_path / "given" / "first.txt").read_bytes() == b"for an outside collaborator"

        # it leads to the pages of a folder and of a file
        pages = tmp_path / "opened"
        for name, line, place in (("Cohort", "Share…", "sharing"), ("scan.dcm", "Versions…", "versions")):
            explorer.click(name, "MB-Sync", line)
            wanted = f"/{place}/{quote(str(a.at(name)), safe='')}"
            until(lambda wanted=wanted: pages.exists() and wanted in pages.read_text(), f"{place} opens")  # type: ignore[misc]

        explorer.click("", "MB-Sync", "Open MB-Sync in the browser")  # of the folder that is open
        until(lambda: pages.read_text().endswith("/\n"), "the page opens at its beginning")

        # kept off this computer, and back
        a.wait()
        explorer.until(lambda: explorer.has("scan.dcm", GREEN), "synced, still")
        explorer.click("scan.dcm", "MB-Sync", "Keep it off this computer")
        told(notices, "Done")
        explorer.until(lambda: "scan.dcm" not in explorer.cells(), "it is away")
        explorer.click("", "MB-Sync", "Always keep on this computer", "scan.dcm")
        explorer.until(lambda: explorer.has("scan.dcm", GREEN), "it is back")
        assert a.read("scan.dcm") == b"DICM" * 300

        # a client that hangs holds up nobody, and one that is gone claims nothing
        pid = int(holder(a.mb_sync.home / "lock"))
        os.kill(pid, signal.SIGSTOP)
        try:
            explorer.open_menu("Cohort")
        finally:
            os.kill(pid, signal.SIGCONT)
        a.stop()
        explorer.until(lambda: not explorer.has("scan.dcm", GREEN), "nobody knows whether it is synced")
        a.start()
        explorer.until(lambda: explorer.has("scan.dcm", GREEN), "it is there again")
    in_session(a, variables).done("explorer", "off")
    left = [
        path
        for path in Path(variables["XDG_DATA_HOME"]).rglob("*")
        if "mb" in path.name and path.is_file() and path.suffix != ".pyc"  # the explorer ends a moment later
    ]
    assert left == []
    assert (Path(variables["XDG_CONFIG_HOME"]) / "gtk-3.0" / "bookmarks").read_text() == ""


def test_a_conflict_is_decided_from_the_menu(pair: Together, tmp_path: Path) -> None:
    a, b = pair.a, pair.b
    a.write("notes.txt", b"of both")
    pair.settle()
    b.write("notes.txt", b"of birch")
    b.once()
    a.write("notes.txt", b"of anvil, and longer")
    a.start_working()
    a.wait()
    variables = a_person(tmp_path)
    in_session(a, variables).done("explorer", "on")
    (tmp_path / "desk").mkdir()
    with a_file_explorer(tmp_path / "desk", a.folder, variables) as explorer, notices_of(explorer) as notices:
        explorer.until(lambda: explorer.has("notes.txt", GREEN), "both are synced")
        explorer.click("notes.txt", "MB-Sync", "Decide the conflict", "Keep the copy that stands beside")
        assert told(notices, "Done") == "The copy that stood beside is the file now."
        explorer.until(lambda: explorer.cells().count("notes.txt") == 1, "one is left")
        until(lambda: a.read("notes.txt") == b"of anvil, and longer", "it is the one that was chosen")
    a.stop()
