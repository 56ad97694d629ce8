"""Users, passwords, devices and tokens, on a real database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from protocol.errors import (
    BadRequest,
    NotFound,
    NotSignedIn,
    Refused,
    TooManyTries,
    Unavailable,
    WrongPassword,
)
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId
from protocol.messages import Login, SignedIn
from server.access.devices import (
    dead_among,
    list_devices,
    note_seen,
    principal_of,
    revoke_device,
    seen_is_due,
    sign_in,
    sign_out,
)
from server.access.new_spaces import check_name
from server.access.passwords import QUEUE, THREADS, Passwords, check_password, hash_password
from server.access.rights import Action, Principal, ReadableView, authorise
from server.access.users import add_user, disable_user, enable_user, list_users, set_password
from server.access.views import views_of
from tests.support.spaces import PASSWORD, Space, a_space


async def log_in(
    space: Space, user: str = "ada", password: str = PASSWORD, device: UUID | None = None, now_ms: int = 1
) -> SignedIn:
    login = Login(user=user, password=password, device=device or uuid4(), device_name="laptop")
    return await sign_in(space.store.database, space.passwords, login, address="127.0.0.1", now_ms=now_ms)


async def who(space: Space, token: str) -> Principal:
    with space.store.database.reading() as session:
        return principal_of(session, token)


async def test_wrong_password_unknown_name_and_disabled_account_get_the_same_answer(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        with space.store.database.writing() as session:
            disable_user(session, "ben", now_ms=1)
        told = set()
        for user, password in (("ada", "wrong"), ("nobody", PASSWORD), ("ben", PASSWORD)):
            with pytest.raises(WrongPassword) as error:
                await log_in(space, user, password)
            told.add(str(error.value))
        assert len(told) == 1


async def test_a_known_and_an_unknown_name_are_throttled_alike(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        for user in ("ada", "nobody"):
            for _ in range(5):
                with pytest.raises(WrongPassword):
                    await log_in(space, user, "wrong")
            with pytest.raises(TooManyTries):
                await log_in(space, user, PASSWORD)
        assert (await log_in(space, now_ms=2_001)).user == "ada"


async def test_signing_in_again_on_the_same_device_replaces_its_token(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        device = uuid4()
        first, second = await log_in(space, device=device), await log_in(space, "ADA", device=device)
        assert first.token.startswith("mbt_")
        with pytest.raises(NotSignedIn):
            await who(space, first.token)
        assert (await who(space, second.token)).device == device


async def test_a_device_of_another_user_is_refused_plainly(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        device = uuid4()
        token = (await log_in(space, device=device)).token
        with pytest.raises(Refused, match="another user"):
            await log_in(space, "ben", device=device)
        assert (await who(space, token)).user_name == "ada"


async def test_a_token_is_dead_once_revoked_signed_out_or_its_user_is_disabled(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        database = space.store.database
        one, two, three, bens = [(await log_in(space, user)).token for user in ("ada", "ada", "ada", "ben")]
        principals = [await who(space, token) for token in (one, two, three, bens)]
        with database.writing() as session:
            revoke_device(session, principals[0], principals[1].device, now_ms=2)
            sign_out(session, principals[2], now_ms=2)
            with pytest.raises(NotFound):
                revoke_device(session, principals[0], principals[3].device, now_ms=2)
        for token in (two, three):
            with pytest.raises(NotSignedIn):
                await who(space, token)
        with database.writing() as session:
            disable_user(session, "ada", now_ms=3)
        with pytest.raises(NotSignedIn):
            await who(space, one)
        with database.reading() as session:
            dead = dead_among(session, [principal.device for principal in principals])
        assert dead == {principal.device for principal in principals[:3]}
        with database.writing() as session:
            enable_user(session, "Ada")
        assert (await who(space, one)).user_name == "ada"


async def test_only_the_hash_of_a_token_is_kept(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        token = (await log_in(space)).token
    for file in tmp_path.glob("server.db*"):
        assert token.encode() not in file.read_bytes()


async def test_last_seen_is_worth_a_write_once_a_minute(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        token = (await log_in(space, now_ms=1)).token
        principal = await who(space, token)
        assert not seen_is_due(principal, now_ms=60_000)
        assert seen_is_due(principal, now_ms=60_001)
        with space.store.database.writing() as session:
            note_seen(session, principal, now_ms=60_001)
        principal = await who(space, token)
        assert not seen_is_due(principal, now_ms=60_002)
        with space.store.database.reading() as session:
            [device] = (list_devices(session, principal)).devices
        assert (device.last_seen_at_ms, device.current, device.revoked) == (60_001, True, False)


async def test_a_new_user_has_an_empty_home_that_nobody_else_sees(tmp_path: Path) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada, ben = await space.client("ada"), await space.client("ben")
        with space.store.database.reading() as session:
            views = views_of(session, ada.principal, space.cursors)
            again = views_of(session, ada.principal, space.cursors)
        [home] = views.views
        assert (home.name, home.kind, home.rights) == (
            "/Home",
            "home",
            [
                "metadata",
                "read",
                "write",
                "versions",
                "share",
                "people",
                "review",
                "release",
                "rules",
                "withdraw",
            ],
        )
        assert views.generation == again.generation
        assert (await ada.all_changes())[0] == []
        for action in Action:
            with pytest.raises(NotFound):
                authorise(ben.principal, action, ada.view)


async def test_no_two_users_have_names_that_read_alike(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        with pytest.raises(Refused, match="already"), space.store.database.writing() as session:
            add_user(session, "Ada", PASSWORD, now_ms=1)
        with space.store.database.reading() as session:
            assert [user.name for user in list_users(session)] == ["ada"]


async def test_a_new_password_counts_at_once(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        with space.store.database.writing() as session:
            set_password(session, "ada", "another good one")
        with pytest.raises(WrongPassword):
            await log_in(space)
        await log_in(space, password="another good one")


@pytest.mark.parametrize("name", ["", ".", "a/b", "a\nb", " a", "x" * 65, ".mb-sync", "a\u202eb"])
def test_names_that_cannot_stand_in_a_path_or_do_not_show_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        check_name(name, of="user")


@pytest.mark.parametrize("password", ["short", "x" * 129, "Password1", "aaaaaaaaaaaa"])
def test_passwords_that_anyone_would_guess_are_refused(password: str) -> None:
    with pytest.raises(BadRequest):
        check_password(password)


async def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    passwords = Passwords()
    assert await passwords.verify("cafe\u0301 creme", hash_password("caf\u00e9 creme"))
    assert not await passwords.verify("cafe creme", None)
    passwords.close()


async def test_a_flood_of_sign_ins_is_turned_away_instead_of_queued() -> None:
    passwords = Passwords()
    waiting = [asyncio.ensure_future(passwords.verify("x", None)) for _ in range(THREADS + QUEUE)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await passwords.verify("x", None)
    for one in waiting:
        one.cancel()
    passwords.close()


def test_an_administrator_has_no_right_to_anyones_home() -> None:
    admin = Principal(UserId(uuid4()), "admin", DeviceId(uuid4()), "laptop", True, 0)
    home = ReadableView(ViewId(uuid4()), SpaceId(1), NodeId(uuid4()), "home", "/Home", UserId(uuid4()))
    with pytest.raises(NotFound):
        authorise(admin, Action.READ, home)
