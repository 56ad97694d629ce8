"""Contents, versions, trash and listings of a real space."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import BadRequest, NotFound
from protocol.ids import NodeId
from protocol.manifests import write_records
from protocol.messages import (
    Content,
    Delete,
    DeleteTree,
    Kind,
    Make,
    Manifest,
    Part,
    Put,
    Revision,
    WantedContent,
)
from server.spaces import listing, trash
from server.spaces.content import stored_file, wanted_chunks
from server.spaces.listing import list_folder
from server.spaces.trash import trash_of
from server.spaces.versions import version_content, versions_of
from tests.support.spaces import Client, a_file, a_space
from tests.support.store import chunk_id

FIRST, SECOND = Revision(epoch=1, number=1), Revision(epoch=1, number=2)


async def chunks_of(client: Client, *parts: Part) -> list[bytes]:
    with client.space.store.database.reading() as session:
        found = wanted_chunks(
            session,
            client.space.store.chunks,
            client.principal,
            client.view,
            WantedContent(parts=list(parts)),
        )
        return list(found)


async def test_chunks_come_in_the_order_of_the_parts_and_their_positions(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"1", b"2", b"3")
        one = await ada.put_new("one", a_file(b"1", b"2", b"3"))
        two = await ada.put_new("two", a_file(b"3"))
        found = await chunks_of(
            ada,
            Part(node=two, revision=FIRST),
            Part(node=one, revision=FIRST, positions=[2, 0]),
            Part(node=one, revision=FIRST),
        )
        assert found == [chunk_id(data) for data in (b"3", b"3", b"1", b"1", b"2", b"3")]
        with pytest.raises(BadRequest):
            await chunks_of(ada, Part(node=one, revision=FIRST, positions=[3]))


async def test_an_indirect_manifest_is_read_as_it_is_or_through(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        records = write_records([(chunk_id(b"one"), 3), (chunk_id(b"two"), 3)])
        await ada.upload(records, b"one", b"two")
        manifest = Manifest(size=6, chunks=chunk_id(records), lengths=[len(records)], indirect=True)
        node = await ada.put_new("big", Content(kind=Kind.FILE, manifest=manifest))
        assert await chunks_of(ada, Part(node=node, revision=FIRST)) == [chunk_id(records)]
        through = Part(node=node, revision=FIRST, positions=[1], through=True)
        assert await chunks_of(ada, through) == [chunk_id(b"two")]
        with space.store.database.reading() as session:
            file = stored_file(session, space.store.chunks, ada.principal, ada.view, NodeId(node))
        assert (file.name, file.chunks) == ("big", [(chunk_id(b"one"), 3), (chunk_id(b"two"), 3)])


async def test_absent_and_not_yours_are_the_same_not_found(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        await ben.upload(b"secret")
        node = await ben.put_new("b", a_file(b"secret"))
        folder = await ada.put_new("folder")
        told = set()
        for asked in (node, uuid4(), folder):
            with pytest.raises(NotFound) as error:
                await chunks_of(ada, Part(node=asked, revision=FIRST))
            told.add(str(error.value))
        assert len(told) == 1


async def test_every_version_stays_readable_in_the_trash_too(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada", "microscope")
        await ada.upload(b"old", b"newer")
        node = NodeId(await ada.put_new("a", a_file(b"old")))
        await ada.commit(Put(node=node, content_revision=FIRST, content=a_file(b"newer", executable=True)))
        await ada.commit(Delete(node=node, place_revision=FIRST, content_revision=SECOND))
        assert await chunks_of(ada, Part(node=node, revision=FIRST)) == [chunk_id(b"old")]
        with space.store.database.reading() as session:
            found = (versions_of(session, ada.view, node)).versions
            assert version_content(session, ada.view, node, FIRST) == a_file(b"old")
            with pytest.raises(NotFound):
                version_content(session, ada.view, node, Revision(epoch=1, number=3))
            with pytest.raises(NotFound):
                versions_of(session, ada.view, NodeId(ada.root))
        assert [(version.revision, version.size, version.current) for version in found] == [
            (SECOND, 5, True),
            (FIRST, 3, False),
        ]
        assert found[0].executable
        assert (found[0].user, found[0].device) == ("ada", "microscope")


async def test_the_trash_shows_paths_the_latest_first_on_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "PAGE", 2)
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        top = await ada.put_new("top")
        inside = await ada.put_new("inside", a_file(), parent=top)
        others = [await ada.put_new(name, a_file()) for name in "ab"]
        for node in (inside, *others):
            ada.now_ms += 1
            await ada.commit(Delete(node=node, place_revision=FIRST, content_revision=FIRST))
        ada.now_ms += 1
        await ada.commit(DeleteTree(node=top, place_revision=FIRST, cursor=await ada.head()))
        paths: list[str] = []
        after = ""
        while True:
            with space.store.database.reading() as session:
                page = trash_of(session, ada.view, after=after)
            paths += [item.path for item in page.items]
            after = page.next
            if not after:
                break
        assert paths == ["/top", "/b", "/a", "/top/inside"]
        with space.store.database.reading() as session, pytest.raises(BadRequest):
            trash_of(session, ada.view, after="nonsense")


async def test_a_folder_is_listed_by_name_on_pages_and_a_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 2)
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"12345")
        top = await ada.put_new("Top")
        for name in "dbca":
            await ada.put_new(name, a_file(b"12345", mtime_ns=7), parent=top)
        names: list[str] = []
        after = ""
        while True:
            with space.store.database.reading() as session:
                page = list_folder(session, ada.principal, ada.view, "/top/", after=after)
            names += [item.name for item in page.items]
            after = page.next
            if not after:
                break
        assert (page.path, names) == ("/Top", ["a", "b", "c", "d"])
        with space.store.database.reading() as session:
            [alone] = (list_folder(session, ada.principal, ada.view, "/top/A")).items
            assert (alone.size, alone.mtime_ns, alone.kind) == (5, 7, Kind.FILE)
            assert [item.name for item in (list_folder(session, ada.principal, ada.view)).items] == ["Top"]
            for path in ("/nothing", "/top/a/deeper"):
                with pytest.raises(NotFound):
                    list_folder(session, ada.principal, ada.view, path)


async def test_make_answers_with_the_first_revisions(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        node: UUID = uuid4()
        [done] = await ada.commit(Make(node=node, parent=ada.root, name="a", content=a_file()))
        assert (done.place_revision, done.content_revision) == (FIRST, FIRST)
