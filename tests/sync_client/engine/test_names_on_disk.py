"""Every name arrives under its own name, on disks that hold it and on those that do not; none is overwritten."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from protocol.names import Os, to_disk, unportable
from sync_client import screens
from sync_client.engine import disk
from sync_client.engine.disk import FollowedRoot
from sync_client.engine.engine import Engine
from sync_client.engine.incoming import NotPlaced
from sync_client.engine.placement import relocate
from tests.support.names import unusual_names
from tests.support.one_engine import Setting, names, shown


@asynccontextmanager
async def another_computer(setting: Setting) -> AsyncIterator[Engine]:
    base = setting.base / "another"
    (base / "home").mkdir(parents=True)
    other = Setting(setting.server, setting.proxy, setting.other, await setting.again(), base)
    async with other.engine() as engine:
        yield engine


def test_there_are_three_hundred_of_them() -> None:
    assert len(unusual_names()) >= 300


async def test_three_hundred_unusual_names_arrive_as_they_are_and_go_again(setting: Setting) -> None:
    wanted = unusual_names()
    async with setting.engine() as here, another_computer(setting) as there:
        folder = await setting.follow(here, "names")
        await there.add_folder("/Home/names", setting.base / "b", create=False)
        for number, name in enumerate(wanted):
            (folder / name).write_bytes(str(number).encode())
        assert await here.once()
        assert set(await setting.on_server("/names")) == set(wanted)
        assert await there.once()
        arrived = {name: (setting.base / "b" / name).read_bytes() for name in names(setting.base / "b")}
        assert arrived == {name: str(number).encode() for number, name in enumerate(wanted)}
        told = {one["path"] for one in here.status()["folders"][0]["not_portable"]}
        assert told == {name for name in wanted if unportable(name)}
        assert there.status()["folders"][0]["not_portable"] == []
        for name in wanted[::2]:
            (setting.base / "b" / name).rename(setting.base / "b" / f"{name[:40]} renamed")
        for name in wanted[1::8]:  # fewer than what a guard asks about
            (setting.base / "b" / name).unlink()
        assert await there.once()
        assert await here.once()
        left = {f"{name[:40]} renamed" for name in wanted[::2]} | (set(wanted[1::2]) - set(wanted[1::8]))
        assert names(folder) == names(setting.base / "b") == left


async def test_a_disk_that_cannot_hold_a_name_shows_it_escaped_and_the_server_knows_the_true_one(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of Windows on the disk that is here: where they do not come from the system, `:` in a name fails."""
    wanted = unusual_names()
    async with setting.engine() as here:
        folder = await setting.follow(here, "names")
        for name in wanted:
            (folder / name).write_bytes(name.encode())
        (folder / "CON:").mkdir()
        (folder / "CON:" / "a?b").write_bytes(b"inside")
        assert await here.once()
    monkeypatch.setattr(disk, "THIS_OS", Os.WINDOWS)
    async with another_computer(setting) as there:
        local = setting.base / "b"
        await there.add_folder("/Home/names", local, create=False)
        assert await there.once()
        assert names(local) == {to_disk(name, Os.WINDOWS) for name in [*wanted, "CON:"]}
        assert not any(set(name) & set('<>:"|?*\\') for name in names(local))
        inside = local / to_disk("CON:", Os.WINDOWS) / to_disk("a?b", Os.WINDOWS)
        inside.write_bytes(b"edited there")
        (local / to_disk("a:2", Os.WINDOWS)).rename(local / to_disk("NUL", Os.WINDOWS).replace("N", "M"))
        assert await there.once()
        assert shown(there) == {}
        [state] = there.file_status([inside])
        assert state["state"] == "synced"
    monkeypatch.undo()
    async with setting.engine() as here:
        assert await here.once()
        assert (folder / "CON:" / "a?b").read_bytes() == b"edited there"


async def test_names_that_are_not_text_are_the_error_of_that_item_alone(setting: Setting) -> None:
    async with setting.engine() as here:
        folder = await setting.follow(here, "bytes")
        for number in range(128, 256):
            (Path(os.fsdecode(os.fsencode(folder) + b"/x" + bytes([number])))).write_bytes(b"x")
        (folder / "fine").write_bytes(b"fine")
        assert not await here.once()
        assert set(await setting.on_server("/bytes")) == {"fine"}
        assert set(shown(here).values()) == {"name-refused"}
        assert len(shown(here)) == 128


def test_what_would_play_tricks_on_a_terminal_is_shown_escaped() -> None:
    tricky = "exam\u202egpj.exe \u2066x \x1b[2J"
    problem = {"path": f"a/{tricky}", "code": "x", "message": f"{tricky} is odd.", "next_try_seconds": 25}
    folder = {
        "local": "/f",
        "remote": "/Home",
        "state": "attention",
        "files": 1,
        "bytes": 1,
        "waiting": 1,
        "words": "",
        "problems": [problem],
    }
    screen = screens.status_screen(
        {"state": "attention", "folders": [folder], "notes": [tricky]}, screens.painter(colours=False)
    )
    assert "exam\\u202egpj.exe \\u2066x \\x1b[2J" in screen
    assert not set(screen) & {"\u202e", "\u2066", "\x1b"}
    assert "Next try in 26 s." in screen


# ---- a disk that is blind to case ------------------------------------------------------------------------


class BlindFolder:
    """The system calls of a disk that takes `Foo` and `foo` for one name, over a real folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sync_client.engine import placement, system_calls  # noqa: PLC0415 - to be patched here alone

        look = system_calls.look

        def blind_look(folder: int, name: str) -> object:
            return look(folder, self._standing(folder, name) or name)

        def blind_rename(source: int, name: str, target: int, new_name: str) -> None:
            if self._standing(target, new_name) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)

        monkeypatch.setattr(placement, "look", blind_look)
        monkeypatch.setattr(placement, "rename_noreplace", blind_rename)

    @staticmethod
    def _standing(folder: int, name: str) -> str | None:
        return next((one for one in os.listdir(folder) if one.casefold() == name.casefold()), None)


def test_on_a_case_blind_disk_a_change_of_case_is_done_and_a_twin_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    BlindFolder(monkeypatch)
    (tmp_path / "notes").write_bytes(b"notes")
    (tmp_path / "other").write_bytes(b"other")
    with FollowedRoot(tmp_path) as root:
        seen, other = root.fingerprint(("notes",)), root.fingerprint(("other",))
        assert seen is not None
        assert other is not None
        assert not isinstance(relocate(root, ("notes",), ("Notes",), seen), NotPlaced)
        refused = relocate(root, ("other",), ("NOTES",), other)
        assert isinstance(refused, NotPlaced)
        assert refused.code == "exists"
    assert names(tmp_path) == {"Notes", "other"}
    assert (tmp_path / "Notes").read_bytes() == b"notes"
