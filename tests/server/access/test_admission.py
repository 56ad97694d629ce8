"""Who was let in once is let in again without a look at the tables, until anything changes."""

import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest

from protocol.errors import NotFound, NotSignedIn
from protocol.ids import ViewId
from protocol.messages import Login
from server.access.admission import Admissions
from server.access.devices import sign_in
from server.access.rights import Action
from tests.support.spaces import PASSWORD, Space, a_space, counted


async def a_token(space: Space, user: str = "ada") -> str:
    login = Login(user=user, password=PASSWORD, device=uuid4(), device_name="laptop")
    done = await sign_in(space.store.database, space.passwords, login, address="127.0.0.1", now_ms=1)
    return done.token


async def test_a_second_request_costs_no_statement(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        view = (await space.client("ada")).view
        token = await a_token(space)
        admissions = Admissions(space.store.database, lambda: 1)
        first = await admissions.admit(token, view.id, Action.WRITE)
        assert first.view == view
        with counted() as statements:
            assert await admissions.admit(token, view.id, Action.READ) == first
        assert statements.said == []


async def test_a_token_disabled_by_another_process_is_dead_at_the_next_request(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        view = (await space.client("ada")).view
        token = await a_token(space)
        admissions = Admissions(space.store.database, lambda: 1)
        await admissions.admit(token, view.id, Action.READ)
        other = sqlite3.connect(space.store.database.path)
        other.execute("UPDATE users SET disabled_at_ms = 1")
        other.commit()
        other.close()
        with pytest.raises(NotSignedIn):
            await admissions.admit(token, view.id, Action.READ)


async def test_views_of_others_and_of_nobody_stay_shut_however_often_one_asks(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        theirs = (await space.client("ben")).view
        token = await a_token(space)
        admissions = Admissions(space.store.database, lambda: 1)
        for view in (theirs.id, ViewId(uuid4())) * 2:
            with pytest.raises(NotFound):
                await admissions.admit(token, view, Action.READ)
