"""Somebody says what files show with `mb-sync label`, as processes."""

from __future__ import annotations

from pathlib import Path

from tests.support.computers import Computer
from tests.support.server import RunningServer


def test_a_person_labels_files_and_takes_it_back(server: RunningServer, tmp_path: Path) -> None:
    server.add_user("eva")
    eva = Computer(tmp_path, "eva")
    eva.login(server, "eva")
    eva.follow("/Home/Study", create=True)
    eva.write("Knee/1.dcm", b"one")
    eva.write("Knee/2.dcm", b"two")
    eva.once()
    local, remote = str(eva.folder / "Knee/1.dcm"), "/Home/Study/Knee/1.dcm"

    said = eva.mb_sync("label", local, "Region=knee", "read_by=Eva", "read_by=Max")
    assert said.returncode == 0, said.stderr
    assert said.stdout == "region is knee for 1 file.\nread-by is Eva, Max for 1 file.\n"
    assert "Undo: mb-sync label" in said.stderr
    assert "region --remove" in said.stderr
    [read_by, region] = eva.mb_sync.json("label", "list", remote)
    assert (read_by["values"], region["values"], region["who"]) == (["Eva", "Max"], ["knee"], "eva")
    assert "by eva" in eva.mb_sync.done("label", "list", local)

    changed = eva.mb_sync("label", remote, "region=hip")
    assert "'region=knee'" in changed.stderr
    assert eva.mb_sync.json("label", "/Home/Study/Knee", "region=ankle") == [
        {"name": "region", "files": 2, "before": None}
    ]
    assert "2 files" in eva.mb_sync.done("label", "/Home/Study", "region", "--remove")
    assert [one["name"] for one in eva.mb_sync.json("label", "list", remote)] == ["read-by"]

    low, high = "--value=low", "--value=high"
    assert "one of low, high" in eva.mb_sync.done("label", "kind", "/Home/Study", "grade", low, high)
    refused = eva.mb_sync("label", remote, "grade=middling")
    assert (refused.returncode, "Choose one of low, high" in refused.stderr) == (1, True)
    assert eva.mb_sync("label", remote).returncode == 2
    wrong = eva.mb_sync("label", remote, "grade")
    assert (wrong.returncode, "Say KEY=VALUE" in wrong.stderr) == (1, True)
    assert "grade" in eva.mb_sync.done("label", "kinds", remote)
    assert "Any text" in eva.mb_sync.done("label", "kind", "/Home", "grade", "--remove")
