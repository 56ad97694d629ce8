"""What a person decides or brings back while no client runs: the folder is opened for that, and closed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.computers import Together

pytestmark = pytest.mark.timeout(300)


def test_conflicts_are_decided(pair: Together) -> None:
    for name in ("one.txt", "two.txt"):
        pair.a.write(name, b"before")
    pair.a.once()
    pair.b.once()
    for name in ("one.txt", "two.txt"):
        pair.a.save(name, b"edited on anvil")
        pair.b.save(name, b"edited on birch, longer")
    pair.a.once()
    pair.b.once()
    pair.b.start()
    conflicts = {Path(one["original"]).name: one["id"] for one in pair.b.mb_sync.json("conflicts")}
    pair.b.stop()
    pair.b.mb_sync.done("conflicts", "resolve", conflicts["one.txt"], "--keep", "mine")
    pair.b.mb_sync.done("conflicts", "resolve", conflicts["two.txt"], "--keep", "theirs")
    pair.b.once()
    pair.a.once()
    assert pair.a.tree() == pair.b.tree()
    assert {path: pair.a.read(path) for path in pair.a.tree()} == {
        "one.txt": b"edited on birch, longer",
        "two.txt": b"edited on anvil",
    }
    pair.sound()


def test_the_local_trash_is_listed_and_gives_back_but_not_without_the_marker(pair: Together) -> None:
    pair.a.write("notes.txt", b"notes")
    pair.a.once()
    pair.b.once()
    pair.a.delete("notes.txt")
    pair.a.once()
    pair.b.once()
    [item] = [one for one in pair.b.mb_sync.json("trash") if one["where"] == "this computer"]
    assert item["path"] == str(pair.b.at("notes.txt"))
    marker = pair.b.at(".mb-sync/marker.json")
    whole = marker.read_bytes()
    marker.unlink()  # as if another disk were mounted there
    assert [one["where"] for one in pair.b.mb_sync.json("trash")] == ["server"]
    assert pair.b.mb_sync("trash", "restore", item["id"]).returncode == 1
    assert pair.b.tree() == {}
    marker.write_bytes(whole)
    pair.b.mb_sync.done("trash", "restore", item["id"])
    pair.b.once()
    pair.a.once()
    assert pair.a.read("notes.txt") == b"notes"
