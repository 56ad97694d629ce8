"""A quota is looked at in the transaction that fills it, one operation at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from protocol.messages import (
    Commit,
    Committed,
    Content,
    Make,
    OpResult,
    Put,
    Revision,
    Status,
    ToUpload,
    Views,
)
from server.access.users import set_quota
from server.config import Settings
from server.upkeep.check import check
from tests.support.service import a_service, manifest_of
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
