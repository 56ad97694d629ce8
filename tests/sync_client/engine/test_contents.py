"""What was brought beforehand is used once, by its revision; what was not is fetched; nothing is left lying about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from protocol.errors import NotFound, Unavailable
from sync_client.engine.contents import Contents, ToBring
from sync_client.engine.trees import Side
from tests.support.one_engine import Setting
from tests.support.watching_proxy import WatchingProxy
from tests.sync_client.engine.test_names_on_disk import another_computer

FILES = {"a": b"one", "b": b"two " * 20_000, "c": b"three"}


@dataclass
class Coming:
    """A folder whose files the server told of, and of which none is here yet."""

    contents: Contents
    files: list[ToBring]
    tmp: Path
    proxy: WatchingProxy

    def lying_about(self) -> list[str]:
        return sorted(path.name for path in self.tmp.iterdir()) if self.tmp.is_dir() else []

    def asked(self) -> int:
        return self.proxy.count("/content")


@pytest.fixture
async def coming(setting: Setting) -> AsyncIterator[Coming]:
    async with another_computer(setting) as there, setting.engine() as here:
        folder = await setting.follow(there, "study")
        local = setting.base / "here"
        await here.add_folder("/Home/study", local, create=False)
        for name, data in FILES.items():
            (folder / name).write_bytes(data)
        assert await there.once()
        [sync] = here.syncs.values()
        await sync.open()
        assert sync.root is not None
        await sync.looker.look(sync.root)  # the feed is read, nothing is done about it
        files: list[ToBring] = []
        for node in sync.trees.children(Side.REMOTE, sync.folder.root):
            row = sync.trees.row(node)
            assert row is not None
            assert row.remote is not None
            files.append((node, row.remote.content_revision, row.remote.content))
        assert len(files) == len(FILES)
        assert sync._contents is not None
        setting.proxy.requests.clear()
        yield Coming(sync._contents, files, local / ".mb-sync" / "tmp", setting.proxy)


async def test_what_was_brought_beforehand_is_not_fetched_again_and_is_used_once(coming: Coming) -> None:
    nodes = [node for node, _, _ in coming.files]
    await coming.contents.bring_beforehand(nodes[:2], [])
    asked = coming.asked()
    assert (asked > 0, len(coming.lying_about())) == (True, 2)
    fetched = await coming.contents.bring(coming.files[:2])
    assert (fetched.ready, fetched.failed, coming.asked()) == (nodes[:2], {}, asked)
    fetched = await coming.contents.bring(coming.files)  # those two may be placed by now, and gone from there
    assert (set(fetched.ready), fetched.failed) == (set(nodes), {})
    assert coming.asked() > asked


async def test_of_what_was_brought_another_revision_is_fetched(coming: Coming) -> None:
    [first, *_] = coming.files
    await coming.contents.bring_beforehand([first[0]], [])
    asked = coming.asked()
    node, revision, content = first
    newer = replace(revision, number=revision.number + 1)
    with pytest.raises(NotFound):  # what lies there is not given out as this one
        await coming.contents.bring([(node, newer, content)])
    assert coming.asked() > asked
    assert (await coming.contents.bring([first])).ready == [node]


async def test_when_the_rest_cannot_be_fetched_what_was_brought_is_still_known(coming: Coming) -> None:
    nodes = [node for node, _, _ in coming.files]
    await coming.contents.bring_beforehand(nodes[:1], [])
    coming.proxy.lose = "/content"
    with pytest.raises(Unavailable):
        await coming.contents.bring(coming.files)
    coming.proxy.lose = ""
    fetched = await coming.contents.bring(coming.files)
    assert fetched.ready[0] == nodes[0]
    assert set(fetched.ready) == set(nodes)
    assert len(coming.lying_about()) == len(nodes)


async def test_what_no_plan_asked_for_is_dropped(coming: Coming) -> None:
    await coming.contents.bring_beforehand([node for node, _, _ in coming.files], [])
    assert len(coming.lying_about()) == len(FILES)
    await coming.contents.drop_unused()
    assert coming.lying_about() == []
