"""Direction "down": nothing of this computer is ever sent, even where the server says that one may write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec import structs

from protocol.messages import Content, Kind, Make, Put, Reset, ResetCause, Revision
from sync_client.engine.engine import Engine
from tests.support.one_engine import Setting, names, shown
from tests.support.service import manifest_of

SENDS = ("/chunks", "/commit", "/missing")


@pytest.fixture
def down(setting: Setting) -> Setting:
    """The account of somebody who may write all of it, in a program that only receives."""
    setting.account = replace(setting.account, only_down=True)
    return setting


async def follow_home(setting: Setting, engine: Engine) -> Path:
    local = setting.base / "home-folder"
    await engine.add_folder("/Home", local, create=False)
    return local


def sent(setting: Setting) -> list[str]:
    return [path for path in setting.proxy.requests if path.partition("?")[0].endswith(SENDS)]


async def test_what_is_changed_added_deleted_or_moved_here_stays_here_and_the_shared_files_come_back(
    down: Setting,
) -> None:
    for name in ("changed.txt", "deleted.txt", "moved.txt"):
        await down.other.put_file(name, name.encode())
    async with down.engine() as engine:
        folder = await follow_home(down, engine)
        assert await engine.once()
        (folder / "changed.txt").write_bytes(b"by me")
        (folder / "own.txt").write_bytes(b"mine")
        (folder / "deleted.txt").unlink()
        (folder / "moved.txt").rename(folder / "elsewhere.txt")
        assert await engine.once()
        here = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    shared = {name: name.encode() for name in ("changed.txt", "deleted.txt", "moved.txt")}
    assert here == shared | {"changed (my copy).txt": b"by me", "own.txt": b"mine"}
    assert sent(down) == []


async def test_no_link_is_made_and_it_is_said(down: Setting) -> None:
    assert down.other.view is not None
    await down.other.upload(b"/etc/passwd")
    link = Content(kind=Kind.LINK, manifest=manifest_of(b"/etc/passwd"))
    await down.other.commit(Make(node=uuid4(), parent=down.other.view.root, name="link", content=link))
    await down.other.put_file("scan.dcm", b"scan")
    async with down.engine() as engine:
        folder = await follow_home(down, engine)
        assert not await engine.once()
        assert shown(engine) == {"link": "refused-here"}
    assert names(folder) == {"scan.dcm"}


async def test_rules_of_what_is_not_sent_hold_nothing_back_that_is_shared(down: Setting) -> None:
    await down.other.put_file(".mbignore", b"*.log\n")
    log = await down.other.put_file("run.log", b"line one")
    async with down.engine() as engine:
        folder = await follow_home(down, engine)
        assert await engine.once()
        assert (folder / "run.log").read_bytes() == b"line one"
        await down.other.upload(b"line two")
        content = Content(kind=Kind.FILE, manifest=manifest_of(b"line two"))
        await down.other.commit(Put(node=log, content_revision=Revision(1, 1), content=content))
        assert await engine.once()
        assert (folder / "run.log").read_bytes() == b"line two"


async def test_after_a_restore_of_the_server_nothing_is_put_back_and_nothing_is_lost(down: Setting) -> None:
    await down.other.put_file("kept.txt", b"kept")
    async with down.engine() as engine:
        folder = await follow_home(down, engine)
        assert await engine.once()
        [sync] = engine.syncs.values()
        [row] = [row for row in sync.trees.all_rows() if row.agreed is not None and row.agreed.place.name]
        assert row.agreed is not None
        with sync.trees.transaction():  # the server once acknowledged more than its backup knows
            agreed = structs.replace(row.agreed, content_revision=Revision(1, 5))
            sync.trees.save(structs.replace(row, agreed=agreed), dirty=False)
        assert down.other.view is not None
        sync.looker.list_again(Reset(cause=ResetCause.RESTORED, cursor=down.other.view.cursor))
        assert await engine.once()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == {
        "kept.txt": b"kept"
    }
    assert sent(down) == []
