"""Cohorts with real processes: synced as a folder, and whole after the server was killed while it filled one."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.support.computers import Computer, until
from tests.support.light import MbSyncLight, files
from tests.support.server import RunningServer

FILES = 150


def linked(server: RunningServer) -> list[str]:
    """The contents of the links, by their SHA-256."""
    return [
        sha256
        for sha256, _, state, path in server.manifest()
        if state == "current" and "/Cohorts/Knees/" in path and not path.endswith("cohort.json")
    ]


def test_a_cohort_is_whole_after_kills_and_is_synced(server: RunningServer, tmp_path: Path) -> None:
    server.add_user("eva")
    eva = Computer(tmp_path, "eva")
    eva.login(server, "eva")
    eva.follow("/Home/Study", create=True)
    for number in range(FILES):
        eva.write(f"Knee/{number}.dcm", b"image %d" % number)
    eva.once()
    eva.mb_sync.done("label", "/Home/Study/Knee", "region=knee")
    made = eva.mb_sync.json("cohort", "create", "Knees", "--in", "/Home/Study/Cohorts", "region=knee")
    assert (made["path"], made["query"]) == ("/Home/Study/Cohorts/Knees", "region=knee")
    for pause in (0.3, 0.6, 0.9):
        time.sleep(pause)
        server.kill9()
        server.restart()
    until(lambda: len(linked(server)) >= FILES, "all are linked")
    assert len(set(linked(server))) == len(linked(server)) == FILES
    server.check_deep()

    eva.once()
    assert sum(path.startswith("Cohorts/Knees/") for path in eva.tree()) >= FILES
    [one] = eva.mb_sync.json("cohort", "list")
    assert (one["files"], one["state"]) == (FILES, "open")
    assert "region=knee" in eva.mb_sync.done("cohort", "show", "knees")
    assert "fills no more" in eva.mb_sync.done("cohort", "remove", one["cohort"])
    assert "There are no cohorts" in eva.mb_sync.done("cohort", "list")
    wrong = eva.mb_sync("cohort", "show", "Knees")
    assert (wrong.returncode, "no cohort Knees for you" in wrong.stderr) == (1, True)


def test_a_cohort_given_out_by_code_follows_its_query_until_its_maker_may_not(
    server: RunningServer, tmp_path: Path
) -> None:
    """A project of ada and ben; ben makes the cohort, and jo has the code of its folder, and no account."""
    assert server.command("project", "create", "Nerves").returncode == 0
    for name in ("ada", "ben"):
        server.add_user(name)
        assert server.command("project", "grant", "Nerves", f"user:{name}", "--role", "owner").returncode == 0
    ada, ben = Computer(tmp_path, "ada"), Computer(tmp_path, "ben")
    ada.login(server, "ada")
    ben.login(server, "ben")
    ada.follow("/Projects/Nerves")
    for number in range(3):
        ada.write(f"Scans/{number}.dcm", b"image %d" % number)
    ada.once()
    ben.mb_sync.done("label", "/Projects/Nerves/Scans/0.dcm", "region=knee")
    ben.mb_sync.done("label", "/Projects/Nerves/Scans/1.dcm", "region=knee")
    ben.mb_sync.done("cohort", "create", "Knees", "--in", "/Projects/Nerves/Cohorts", "region=knee")
    link = ben.mb_sync.json("code", "create", "/Projects/Nerves/Cohorts/Knees")["link"]
    jo, folder = MbSyncLight(tmp_path / "jo"), tmp_path / "received"
    with jo.running("-", folder, stdin=link):
        until(lambda: images(folder) == {b"image 0", b"image 1"}, "both come")
        until(lambda: "cohort.json" in files(folder), "the definition comes")
        definition = files(folder)["cohort.json"]
        assert json.loads(definition)["query"] == "region=knee"
        assert b"ben" not in definition

        ben.mb_sync.done("label", "/Projects/Nerves/Scans/0.dcm", "region=hip")
        ben.mb_sync.done("label", "/Projects/Nerves/Scans/2.dcm", "region=knee")
        ada.write("Scans/1.dcm", b"image 1, newer")
        ada.once()
        until(lambda: images(folder) == {b"image 1, newer", b"image 2"}, "one goes, one comes, one is newer")

        assert server.command("project", "revoke", "Nerves", "user:ben").returncode == 0
        until(lambda: states(ada) == ["stopped"], "it fills no more, as its maker may not write there")
        ada.mb_sync.done("label", "/Projects/Nerves/Scans/0.dcm", "region=knee")
        until(lambda: jo.state(folder)["state"] == "ended", "its code is worth nothing either")
        assert images(folder) == {b"image 1, newer", b"image 2"}  # what was received stays
    server.check_deep()


def images(folder: Path) -> set[bytes]:
    return (
        {data for path, data in files(folder).items() if path.endswith(".dcm")} if folder.is_dir() else set()
    )


def states(computer: Computer) -> list[str]:
    return [one["state"] for one in computer.mb_sync.json("cohort", "list")]
