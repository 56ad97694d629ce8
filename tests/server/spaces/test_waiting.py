"""Long polls: woken by what concerns them, and by nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocol.errors import NotFound
from protocol.messages import Moved, Wait, Watched
from server.database.session import Database
from server.spaces.waiting import wait_for_moves
from server.spaces.wakeups import Wakeups
from tests.support.spaces import START, Client, a_space

SOON = 30.0


async def poll(
    client: Client, wakeups: Wakeups, *, after: str, seconds: float, generation: str = ""
) -> Moved:
    return await wait_for_moves(
        client.space.store.database,
        wakeups,
        client.space.cursors,
        client.principal,
        Wait(
            views=[Watched(view=client.view.id, cursor=after)], timeout_seconds=seconds, generation=generation
        ),
    )


async def test_a_poll_is_answered_at_once_when_something_is_there_already(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.put_new("a")
        moved = await poll(ada, Wakeups(space.store.database), after=START, seconds=SOON)
        assert moved.views == [ada.view.id]


async def test_a_commit_wakes_those_who_wait_for_its_space_and_nobody_else(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        wakeups = Wakeups(space.store.database)
        async with asyncio.TaskGroup() as group:
            adas = group.create_task(poll(ada, wakeups, after=await ada.head(), seconds=SOON))
            bens = group.create_task(poll(ben, wakeups, after=await ben.head(), seconds=0.5))
            await asyncio.sleep(0.1)
            await ada.put_new("a")
            wakeups.notify(ada.view.space)
        assert adas.result().views == [ada.view.id]
        assert bens.result().views == []


async def test_what_another_process_commits_is_seen_too(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        database = Database.open(space.store.database.path, migrate=False)
        wakeups = Wakeups(database)
        async with wakeups.watching(), asyncio.TaskGroup() as group:
            waiting = group.create_task(poll(ada, wakeups, after=await ada.head(), seconds=SOON))
            await asyncio.sleep(0.1)
            await ada.put_new("a")
        assert waiting.result().views == [ada.view.id]
        database.close()


async def test_another_list_of_views_answers_at_once(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        wakeups = Wakeups(space.store.database)
        moved = await poll(ada, wakeups, after=await ada.head(), seconds=SOON, generation="old")
        assert moved.views == []
        again = await poll(ada, wakeups, after=await ada.head(), seconds=0.0, generation=moved.generation)
        assert again == moved


async def test_nobody_waits_for_another_users_view(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        head = await ben.head()
        ada.view = ben.view
        with pytest.raises(NotFound):
            await poll(ada, Wakeups(space.store.database), after=head, seconds=0.0)
