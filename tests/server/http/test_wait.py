"""The long poll: woken by what moved in one's own views, and by nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from protocol.errors import NotFound, NotSignedIn, Unavailable
from protocol.messages import Changes, Content, Kind, Make, Moved, Views, Wait, Watched
from tests.support.server import PASSWORD, mb_server
from tests.support.service import Caller, ServiceUnderTest, a_service

SOON = 5.0  # what must come does so within this time, also on a busy machine; a poll lasts twenty


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServiceUnderTest]:
    async with a_service(tmp_path / "data") as running:
        yield running


async def head_of(caller: Caller) -> str:
    page = await caller.ask("GET", f"{caller.at}/changes", answer=Changes)
    assert not page.more
    return str(page.cursor)


async def wait(caller: Caller, cursor: str, *, seconds: float = 20.0, generation: str = "") -> Moved:
    assert caller.view is not None
    watched = Watched(view=caller.view.view, cursor=cursor)
    body = Wait(views=[watched], generation=generation, timeout_seconds=seconds)
    answer = await caller.ask("POST", "/wait", answer=Moved, body=body)
    assert isinstance(answer, Moved)
    return answer


async def make_folder(caller: Caller) -> None:
    assert caller.view is not None
    folder = Make(node=uuid4(), parent=caller.view.root, name=uuid4().hex, content=Content(kind=Kind.FOLDER))
    [done] = await caller.commit(folder)
    assert done.status == "done"


async def test_what_moved_already_is_answered_at_once(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada")
    assert ada.view is not None
    cursor = await head_of(ada)
    await make_folder(ada)
    began = time.monotonic()
    assert (await wait(ada, cursor)).views == [ada.view.view]
    assert time.monotonic() - began < SOON


async def test_a_commit_wakes_the_other_device_at_once(server: ServiceUnderTest) -> None:
    laptop, desk = await server.sign_in("ada"), await server.sign_in("ada")
    assert desk.view is not None
    cursor = await head_of(desk)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(wait(desk, cursor))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await make_folder(laptop)
        moved = await poll
    assert moved.views == [desk.view.view]
    assert time.monotonic() - began < SOON


async def test_nothing_moved_is_an_empty_answer_when_the_time_is_up(server: ServiceUnderTest) -> None:
    ada = await server.sign_in("ada")
    moved = await wait(ada, await head_of(ada), seconds=0.1)
    assert moved.views == []
    views = await ada.ask("GET", "/views", answer=Views)
    assert moved.generation == views.generation


async def test_what_another_user_does_wakes_nobody(server: ServiceUnderTest) -> None:
    ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
    cursor = await head_of(ada)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(wait(ada, cursor, seconds=0.8))
        await asyncio.sleep(0.1)
        await make_folder(ben)
        assert (await poll).views == []


async def test_a_list_of_views_that_is_not_the_known_one_is_answered_at_once(
    server: ServiceUnderTest,
) -> None:
    ada = await server.sign_in("ada")
    began = time.monotonic()
    moved = await wait(ada, await head_of(ada), generation="an older one")
    assert moved.views == []
    assert moved.generation not in ("", "an older one")
    assert time.monotonic() - began < SOON


async def test_the_view_of_another_user_cannot_be_watched(server: ServiceUnderTest) -> None:
    ada, ben = await server.sign_in("ada"), await server.sign_in("ben")
    ben.view = ada.view
    with pytest.raises(NotFound):
        await wait(ben, "")


async def test_a_revoked_device_is_let_go_at_once(server: ServiceUnderTest) -> None:
    laptop, desk = await server.sign_in("ada"), await server.sign_in("ada")
    assert desk.signed_in is not None
    cursor = await head_of(desk)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(told(desk, cursor))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert (await laptop.raw("DELETE", f"/devices/{desk.signed_in.device}"))[0] == 204
        assert isinstance(await poll, NotSignedIn)
    assert time.monotonic() - began < SOON
    assert isinstance(await told(desk, cursor), NotSignedIn)


async def test_a_user_disabled_by_a_command_beside_the_server_is_let_go(server: ServiceUnderTest) -> None:
    ben = await server.sign_in("ben")
    cursor = await head_of(ben)
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(told(ben, cursor))
        await asyncio.sleep(0.1)
        done = await asyncio.to_thread(mb_server, "user", "disable", "ben", "--data", server.data)
        ended = time.monotonic()
        assert done.returncode == 0
        assert isinstance(await poll, NotSignedIn)
    assert time.monotonic() - ended < SOON


async def test_a_server_that_stops_lets_its_long_polls_go(tmp_path: Path) -> None:
    async with a_service(tmp_path / "data") as server:
        ada = await server.sign_in("ada", password=PASSWORD)
        cursor = await head_of(ada)
        async with asyncio.TaskGroup() as group:
            poll = group.create_task(told(ada, cursor))
            await asyncio.sleep(0.1)
            server.service.open_requests.end_all()
            assert isinstance(await poll, Unavailable)


async def told(caller: Caller, cursor: str) -> Exception | Moved:
    """The answer, or the error that came instead."""
    try:
        return await wait(caller, cursor)
    except (NotSignedIn, Unavailable) as error:
        return error
