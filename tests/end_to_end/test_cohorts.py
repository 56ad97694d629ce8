"""Cohorts with real processes: synced as a folder, and whole after the server was killed while it filled one."""

from __future__ import annotations

import time
from pathlib import Path

from tests.support.computers import Computer, until
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
