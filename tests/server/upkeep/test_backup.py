"""A backup holds everything but the keys, and a restore begins a new epoch."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from protocol.errors import CodeRevoked, LocalProblem, NotSignedIn
from protocol.messages import (
    Changes,
    Commit,
    CommitAnswer,
    Content,
    Feed,
    Kind,
    Login,
    Make,
    Put,
    PutBack,
    Reset,
    ResetCause,
    Revision,
    SignedIn,
    Views,
)
from protocol.sharing import CodeMade, NewCode, Redeem, Redeemed
from server.data_folder import DataFolder
from server.database.session import Database
from server.initialise import initialise
from server.upkeep.backup import back_up
from server.upkeep.check import check
from server.upkeep.restore import restore
from tests.support.server import PASSWORD, RunningServer
from tests.support.service import Caller, manifest_of
from tests.support.store import NOW_MS, Store, a_store


@asynccontextmanager
async def a_server_folder(folder: Path) -> AsyncIterator[tuple[DataFolder, str]]:
    data = DataFolder(folder)
    key = initialise(data, admin="ada", password=PASSWORD, clock=lambda: NOW_MS)
    yield data, key


def backed_up(data: DataFolder, to: Path, *, look: bool = False) -> tuple[int, int, int, list[str]]:
    database = Database.open(data.database, migrate=False)
    try:
        done = back_up(data, database, to, now_ms=NOW_MS, look=look)
    finally:
        database.close()
    return done.copies.copied, done.copies.present, done.removed, done.copies.broken


def is_sound(store: Store) -> bool:
    return check(store.database, store.packs, store.keys, deep=True) == []


async def test_packs_are_copied_once_and_the_keys_never(tmp_path: Path) -> None:
    async with a_server_folder(tmp_path / "server") as (data, _):
        async with a_store(data.root) as store:
            await store.put(b"one")
            assert backed_up(data, tmp_path / "backup") == (1, 0, 0, [])
            await store.put(b"two")
            assert backed_up(data, tmp_path / "backup") == (1, 1, 0, [])
            [first, second] = store.pack_files
        names = {path.name for path in (tmp_path / "backup").iterdir()}
        assert names == {"server.db", "server.toml", "packs", "backup.json"}
        secret = (data.keys / "master.key").read_bytes()
        assert all(
            secret not in path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file()
        )
        # a pack damaged in the backup is noticed by --verify, and brought again
        copy = tmp_path / "backup" / "packs" / first.name
        copy.write_bytes(bytes(copy.stat().st_size))
        assert backed_up(data, tmp_path / "backup", look=True) == (1, 1, 0, [])
        assert copy.read_bytes() == first.read_bytes()
        # a pack damaged in the server is named, and what the backup has of it stays
        second.write_bytes(b"?" * second.stat().st_size)
        assert backed_up(data, tmp_path / "other") == (1, 0, 0, [second.name])


async def test_a_busy_server_is_restored_into_a_new_folder_by_its_recovery_key(
    tmp_path: Path,
) -> None:
    async with a_server_folder(tmp_path / "server") as (data, key):
        async with a_store(data.root) as store:
            [chunk] = await store.put(b"text")
        backed_up(data, tmp_path / "backup")
        new = DataFolder(tmp_path / "new")
        new.root.mkdir()
        with pytest.raises(LocalProblem, match="no keys here"):
            restore(new, tmp_path / "backup", recovery_key="", now_ms=NOW_MS)
        assert not new.database.exists()
        done = restore(new, tmp_path / "backup", recovery_key=key, now_ms=NOW_MS)
        assert (done.epoch, done.aside, done.copies.broken) == (2, None, [])
        async with a_store(new.root) as store:
            assert await store.get([chunk]) == [b"text"]
            assert is_sound(store)


async def test_no_epoch_is_given_twice(tmp_path: Path) -> None:
    async with a_server_folder(tmp_path / "server") as (data, _):
        backed_up(data, tmp_path / "backup")
        epochs = [
            restore(data, tmp_path / "backup", recovery_key="", now_ms=NOW_MS + n).epoch for n in range(3)
        ]
        assert epochs == [2, 3, 4]
        for old in (data.database, *data.root.glob("before-restore-*/server.db")):
            old.unlink()
        assert restore(data, tmp_path / "backup", recovery_key="", now_ms=NOW_MS + 9).epoch == 5


async def test_other_servers_and_other_folders_are_left_alone(tmp_path: Path) -> None:
    async with a_server_folder(tmp_path / "one") as (one, _), a_server_folder(tmp_path / "two") as (two, _):
        backed_up(one, tmp_path / "backup")
        with pytest.raises(LocalProblem, match="backup of another server"):
            backed_up(two, tmp_path / "backup")
        with pytest.raises(LocalProblem, match="another server's data"):
            restore(two, tmp_path / "backup", recovery_key="", now_ms=NOW_MS)
        with pytest.raises(LocalProblem, match="inside the data folder"):
            backed_up(one, one.root / "backup")
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter.tex").write_text("x")
        with pytest.raises(LocalProblem, match="holds other things"):
            backed_up(one, tmp_path / "thesis")
        with pytest.raises(LocalProblem, match="no whole backup"):
            restore(one, tmp_path / "thesis", recovery_key="", now_ms=NOW_MS)


async def caller(url: str, client: aiohttp.ClientSession) -> Caller:
    found = Caller(url, client)
    login = Login(user="root-admin", password=PASSWORD, device=uuid4(), device_name="laptop")
    found.signed_in = await found.ask("POST", "/login", answer=SignedIn, body=login)
    found.token = found.signed_in.token
    [found.view] = (await found.ask("GET", "/views", answer=Views)).views
    return found


async def feed(of: Caller, cursor: str = "") -> Feed:
    page: Feed = await of.ask("GET", f"{of.at}/changes?after={cursor}", answer=Feed)
    return page


async def code_for_a_folder(of: Caller) -> CodeMade:
    assert of.view is not None
    folder = Make(node=uuid4(), parent=of.view.root, name="Study", content=Content(kind=Kind.FOLDER))
    await of.commit(folder)
    made: CodeMade = await of.ask(
        "POST", f"{of.at}/nodes/{folder.node}/codes", answer=CodeMade, body=NewCode()
    )
    return made


async def test_a_server_of_yesterday_answers_reset_and_takes_back_what_it_lost(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server") as server:
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            ada, stolen = await caller(server.url, client), await caller(server.url, client)
            kept = await ada.put_file("kept", b"version one")
            leaked = await code_for_a_folder(ada)
            assert server.command("backup", str(tmp_path / "backup")).returncode == 0
            await ada.upload(b"version two")
            content = Content(kind=Kind.FILE, manifest=manifest_of(b"version two"))
            [put] = await ada.commit(Put(node=kept, content_revision=Revision(1, 1), content=content))
            lost = await ada.put_file("lost", b"made after the backup")
            page = await feed(ada)
            assert isinstance(page, Changes)
            assert stolen.signed_in is not None
            assert (await ada.raw("DELETE", f"/devices/{stolen.signed_in.device}"))[0] < 300
            assert (await ada.raw("DELETE", f"/codes/{leaked.code}"))[0] < 300
            told = server.command("restore", str(tmp_path / "backup"))
            assert (told.returncode, "Another server is running" in told.stderr) == (1, True)
            server.stop()
            told = server.command("restore", str(tmp_path / "backup"), "--json")
            assert told.returncode == 0, told.stderr
            assert json.loads(told.stdout)["revoked"] == 2
            server.start()
        async with aiohttp.ClientSession(auto_decompress=False) as client:
            ada.client = stolen.client = client
            with pytest.raises(NotSignedIn):
                await feed(stolen)
            redeem = Redeem(code=leaked.secret, device=uuid4(), device_name="finder")
            with pytest.raises(CodeRevoked):
                await Caller(server.url, client).ask("POST", "/redeem", answer=Redeemed, body=redeem)
            reset = await feed(ada, page.cursor)
            assert isinstance(reset, Reset)
            assert reset.cause is ResetCause.RESTORED
            assert ada.view is not None
            make = Make(node=uuid4(), parent=ada.view.root, name="x", content=Content(kind=Kind.FOLDER))
            batch = Commit(operation=uuid4(), number=100, ops=[make], cursor=page.cursor)
            answer = await ada.ask("POST", f"{ada.at}/commit", answer=CommitAnswer, body=batch)
            assert isinstance(answer, Reset)
            held = {state.node: state for state in page.nodes}
            await ada.upload(b"version two", b"made after the backup")
            ada.batches = 100
            results = await ada.commit(
                *[
                    PutBack(
                        node=node,
                        parent=held[node].parent,
                        name=held[node].name,
                        place_revision=held[node].place_revision,
                        content_revision=held[node].content_revision,
                        content=held[node].content or content,
                    )
                    for node in (kept, lost)
                ]
            )
            assert [result.content_revision for result in results] == [put.content_revision, Revision(1, 1)]
            now = await feed(ada, reset.cursor)
            assert isinstance(now, Changes)
            assert {state.node: state.content for state in now.nodes} == {
                node: state.content for node, state in held.items()
            }
        states = sorted((state, path) for _, _, state, path in server.manifest("--versions"))
        assert [state for state, _ in states] == ["current", "current", "version"]
        server.check_deep()
