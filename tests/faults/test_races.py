"""A real program edits a file as fast as it can while new versions of it are placed: no edit is ever lost.

The editor knows what it replaced.  So each of its edits must be one that it replaced itself, or lie in the folder, in
the local trash, or under a `.swap` that the next start brings back.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.messages import Kind
from sync_client.engine import system_calls
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.incoming import SmallFile, write_small
from sync_client.engine.placement import Placed, Target, place
from sync_client.engine.trees import Content
from tests.support.followed import a_node

TRIES = 1_500

BY_EXCHANGE = """
import itertools, os, sys
from sync_client.engine.system_calls import exchange
folder = os.open(sys.argv[1], os.O_RDONLY)
for number in itertools.count():
    mine = f"edit {number}".encode()
    with open(os.path.join(sys.argv[1], "mine"), "wb") as file:
        file.write(mine)
    print("made", number, flush=False)
    exchange(folder, "mine", folder, "a")
    with open(os.path.join(sys.argv[1], "mine"), "rb") as file:
        print("out", file.read().decode(), flush=False)
    sys.stdout.flush()
"""

IN_PLACE = """
import itertools, os, sys
target = os.path.join(sys.argv[1], "a")
held = {}
for number in itertools.count():
    handle = os.open(target, os.O_WRONLY)
    inode = os.fstat(handle).st_ino
    if inode in held:
        print("out edit", held[inode])
    os.pwrite(handle, b"edit %09d" % number, 0)
    os.close(handle)
    print("made", number, flush=True)
    held[inode] = number
"""


def placed_against(editor: str, folder: Path, log: Path) -> tuple[int, int]:
    """Place TRIES versions while it edits; how often they were placed, and how often an edit was in the way."""
    (folder / "a").write_bytes(b"the beginning.")
    done = refused = 0
    with (
        FollowedRoot(folder) as root,
        log.open("w") as out,
        subprocess.Popen([sys.executable, "-c", editor, folder], stdout=out, cwd=os.getcwd()) as process,
    ):
        try:
            for number in range(TRIES):
                node = a_node()
                expected = root.fingerprint(("a",))
                assert expected is not None, "the name was absent for a moment"
                data = b"version %06d" % number
                assert not write_small(root, [SmallFile(node, data)])
                [result] = place(root, [Target(node, ("a",), expected, Content(Kind.FILE, b"", len(data)))])
                done += isinstance(result, Placed)
                refused += not isinstance(result, Placed)
        finally:
            process.kill()
    return done, refused


def lost(folder: Path, log: Path) -> set[str]:
    """Edits that are nowhere."""
    lines = log.read_text().splitlines()
    made = {f"edit {int(line.split()[1])}" for line in lines if line.startswith("made ") and line.split()[1:]}
    replaced = {_plain(line.removeprefix("out ")) for line in lines if line.startswith("out ")}
    private = folder / ".mb-sync"
    places = [folder / "a", folder / "mine", *(private / "trash").iterdir(), *(private / "tmp").iterdir()]
    kept = {_plain(path.read_text()) for path in places if path.is_file() and path.name != "index.jsonl"}
    assert len(made) > 100, "the editor hardly worked"
    return made - replaced - kept


def _plain(text: str) -> str:
    word, _, number = text.partition(" ")
    return f"edit {int(number)}" if word == "edit" and number.strip().isdigit() else text


def test_no_edit_is_lost_that_comes_between_the_look_and_the_exchange(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done, refused = placed_against(BY_EXCHANGE, tmp_path / "folder", tmp_path / "log")
    print(f"placed {done}, an edit came first {refused}")
    assert done
    assert refused
    assert lost(tmp_path / "folder", tmp_path / "log") == set()


def test_without_exchange_no_edit_in_place_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_calls, "_renameat2", None)
    (tmp_path / "folder").mkdir()
    done, refused = placed_against(IN_PLACE, tmp_path / "folder", tmp_path / "log")
    print(f"placed {done}, an edit came first {refused}")
    assert done
    assert refused
    assert lost(tmp_path / "folder", tmp_path / "log") == set()
