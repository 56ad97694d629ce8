"""A quota is looked at in the transaction that fills it, one operation at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from protocol.errors import OverQuota
from protocol.messages import (
    Commit,
    Committed,
    Content,
    Make,
    Missing,
    OpResult,
    Put,
    Revision,
    Status,
    ToUpload,
    Views,
)
from server.access.users import set_quota
from server.config import Settings
from server.database.tables import PossessionRow
from server.upkeep.check import check
from tests.support.server import mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service, manifest_of
from tests.support.spaces import Client, Space, a_file, a_space


def give(space: Space, quota: int | None) -> None:
    with space.store.database.writing() as session:
        set_quota(session, "ada", quota)


def make(client: Client, name: str, content: Content, group: int = 0) -> Make:
    return Make(node=uuid4(), parent=client.root, name=name, content=content, group=group)


def statuses(results: list[OpResult]) -> list[str]:
    return [result.status.value for result in results]


async def test_what_does_not_fit_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"1", b"22", b"333")
        give(space, 5)
        results = await ada.commit(
            make(ada, "a", a_file(b"333")),
            make(ada, "b", a_file(b"333")),
            make(ada, "c", a_file(b"22")),
            make(ada, "d", a_file(b"1")),
            make(ada, "e", a_file()),
        )
        assert statuses(results) == ["done", "over-quota", "done", "over-quota", "done"]
        assert "2 bytes are left" in results[1].message
        store = space.store
        assert check(store.database, store.packs, store.keys, deep=False) == []


async def test_a_group_fits_whole_or_not_at_all(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"1", b"22")
        give(space, 2)
        both = [make(ada, "a", a_file(b"1"), group=1), make(ada, "b", a_file(b"22"), group=1)]
        assert statuses(await ada.commit(*both)) == ["group-failed", "over-quota"]
        assert (await ada.all_changes())[0] == []


async def test_what_grows_nothing_is_taken_above_the_quota_too(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"333", b"444", b"22")
        node = await ada.put_new("a", a_file(b"333"))
        give(space, 1)
        first, second = Revision(1, 1), Revision(1, 2)
        [same] = await ada.commit(Put(node=node, content_revision=first, content=a_file(b"444")))
        [less] = await ada.commit(Put(node=node, content_revision=second, content=a_file(b"22")))
        [more] = await ada.commit(Put(node=node, content_revision=Revision(1, 3), content=a_file(b"444")))
        assert [same.status, less.status, more.status] == [Status.DONE, Status.DONE, Status.OVER_QUOTA]
        give(space, None)
        [more] = await ada.commit(Put(node=node, content_revision=Revision(1, 3), content=a_file(b"444")))
        assert more.status is Status.DONE


async def test_of_fifty_uploads_into_the_last_room_one_wins(tmp_path: Path) -> None:
    settings = Settings(listen="127.0.0.1:0", shutdown_seconds=1, default_quota="4")
    async with a_service(tmp_path / "server", settings=settings) as server:
        ada = await server.sign_in("ada")
        assert ada.view is not None
        await ada.upload(b"1234")
        content = Content(kind=a_file().kind, manifest=manifest_of(b"1234"))

        async def commit(number: int) -> str:
            assert ada.view is not None
            op = Make(node=uuid4(), parent=ada.view.root, name=f"{number}", content=content)
            batch = Commit(operation=uuid4(), number=number, ops=[op])
            answer = await ada.ask("POST", f"{ada.at}/commit", answer=Committed, body=batch)
            return str(answer.results[0].status.value)

        told = await asyncio.gather(*[commit(number) for number in range(1, 51)])
        assert sorted(told) == ["done"] + ["over-quota"] * 49
        [view] = (await ada.ask("GET", "/views", answer=Views)).views
        assert (view.used_bytes, view.quota_bytes) == (4, 4)
        asked = {"chunks": b""}
        room = await ada.ask("POST", f"{ada.at}/missing", answer=ToUpload, body=asked)
        assert room == ToUpload(wanted=[], room_bytes=0)


# ---- what was sent and not finished ----------------------------------------------------------------------


@asynccontextmanager
async def a_full_service(folder: Path, quota: str) -> AsyncIterator[ServiceUnderTest]:
    settings = Settings(listen="127.0.0.1:0", shutdown_seconds=1, default_quota=quota)
    async with a_service(folder / "server", settings=settings) as server:
        yield server
        done = await asyncio.to_thread(mb_server, "check", "--data", server.data)
        assert done.returncode == 0, done.stdout


async def room_of(caller: Caller, *chunks: bytes) -> int | None:
    asked = Missing(chunks=b"".join(hashlib.sha256(data).digest() for data in chunks))
    answer = await caller.ask("POST", f"{caller.at}/missing", answer=ToUpload, body=asked)
    return answer.room_bytes


@pytest.mark.parametrize(
    "_", range(4)
)  # each round finds a second winner, where there can be one, two times of five
async def test_of_fifty_uploads_with_one_chunk_left_one_wins(tmp_path: Path, _: int) -> None:
    async with a_full_service(tmp_path, "4") as server:
        callers = [await server.sign_in("ada") for _ in range(5)]

        async def send(number: int) -> str:
            try:
                await callers[number % 5].upload(b"%04d" % number)
            except OverQuota as error:
                return error.code
            return "stored"

        told = await asyncio.gather(*[send(number) for number in range(50)])
        assert sorted(told) == ["over-quota"] * 49 + ["stored"]
        won = b"%04d" % told.index("stored")
        await callers[told.index("stored") % 5].put_file("won", won)


async def test_what_was_sent_counts_until_it_is_committed_or_its_lease_ends(tmp_path: Path) -> None:
    async with a_full_service(tmp_path, "10") as server:
        ada, other = await server.sign_in("ada"), await server.sign_in("ada")
        await ada.upload(b"666666")
        assert await room_of(ada) == await room_of(other) == await room_of(other, b"666666") == 4
        assert await room_of(ada, b"666666") == 10  # they are its own, and asked for again
        [view] = (await ada.ask("GET", "/views", answer=Views)).views
        assert (view.used_bytes, view.unfinished_bytes, view.quota_bytes) == (0, 6, 10)
        with pytest.raises(OverQuota, match=r"full: 4 bytes are left\. Ask its operator"):
            await other.upload(b"55555")
        await other.upload(b"4444")
        with pytest.raises(OverQuota, match="0 bytes are left"):  # before its first byte is read
            await (await server.sign_in("ada")).upload(b"1")
        await ada.upload(b"666666")  # the answer was lost: once more, and it counts once
        await ada.put_file("six", b"666666")
        [view] = (await ada.ask("GET", "/views", answer=Views)).views
        assert (view.used_bytes, view.unfinished_bytes) == (6, 4)
        with server.service.database.writing() as session:
            session.execute(update(PossessionRow).values(leased_until_ms=1))
        assert await room_of(ada) == 4
        await ada.upload(b"22", b"33")
        await ada.put_file("four", b"22", b"33")


async def test_a_commit_finds_no_room_where_others_wait_to_commit(tmp_path: Path) -> None:
    async with a_full_service(tmp_path, "10") as server:
        ada, other = await server.sign_in("ada"), await server.sign_in("ada")
        await ada.upload(b"1234")
        await other.upload(b"666666")
        twice = Make(
            node=uuid4(),
            parent=ada.view.root if ada.view else uuid4(),
            name="twice",
            content=Content(kind=a_file().kind, manifest=manifest_of(b"1234", b"1234")),
        )
        [result] = await ada.commit(twice)
        assert (result.status, "(4 bytes are left)" in result.message) == (Status.OVER_QUOTA, True)
        await other.put_file("six", b"666666")
        await ada.put_file("four", b"1234")


async def test_what_replaces_may_be_sent_where_no_room_is_left_and_takes_nobody_elses(tmp_path: Path) -> None:
    async with a_full_service(tmp_path, "10") as server:
        ada, other = await server.sign_in("ada"), await server.sign_in("ada")
        node = await ada.put_file("a", b"88888888")
        await other.upload(b"22")
        await ada.upload(b"77777777", replaces=8)
        with pytest.raises(OverQuota):  # no more than the space holds
            await ada.upload(b"99999999", replaces=8)
        put = Put(
            node=node,
            content_revision=Revision(1, 1),
            content=Content(kind=a_file().kind, manifest=manifest_of(b"77777777")),
        )
        assert statuses(await ada.commit(put)) == ["done"]
        await other.put_file("two", b"22")
        await ada.upload(b"99999999", replaces=8)  # that room is free again


async def test_without_a_quota_nothing_is_counted(tmp_path: Path) -> None:
    async with a_service(tmp_path / "server") as server:
        ada = await server.sign_in("ada")
        await ada.upload(b"666666")
        with server.service.database.reading() as session:
            assert session.scalar(select(PossessionRow.space)) is None
        assert await room_of(ada) is None
