"""A folder shared by an owner with an editor, a reader and somebody who sees only names: real processes and folders,
through a script of sharing, moving, unsharing and revoking; what each can see at each step is what the roles say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.computers import Computer, until
from tests.support.server import RunningServer

pytestmark = pytest.mark.timeout(400)

Everyone = dict[str, Computer]


@pytest.fixture
def everyone(server: RunningServer, tmp_path: Path) -> Iterator[Everyone]:
    """ada at her whole home, with a shared study in it; ben may write there, cleo read, dan see names."""
    people = {name: Computer(tmp_path, f"{name}s") for name in ("ada", "ben", "cleo", "dan")}
    for name, computer in people.items():
        server.add_user(name)
        computer.login(server, name)
    ada = people["ada"]
    ada.follow("/Home")
    ada.write("Study/scan.dcm", b"scan")
    ada.write("Study/series/1", b"one")
    ada.write("Study/series/2", b"two")
    ada.write("private/diary", b"mine alone")
    ada.once()
    for who, role in (("user:ben", "editor"), ("user:cleo", "reader"), ("user:dan", "metadata")):
        ada.mb_sync.done("share", "/Home/Study", "--with", who, "--role", role)
    for name in ("ben", "cleo"):
        people[name].follow("/Shared/Study")
    for name in ("ada", "ben", "cleo"):
        people[name].start()
    yield people
    for name in ("ada", "ben", "cleo"):
        people[name].mb_sync("stop")
    server.check_deep()


def files(computer: Computer) -> dict[str, bytes]:
    return {path: computer.read(path) for path, seen in computer.tree().items() if seen.kind == "file"}


def settle(*computers: Computer) -> None:
    for _ in range(2):
        for computer in computers:
            computer.wait()


def folder_of(computer: Computer) -> dict[str, object]:
    [folder] = computer.status()["folders"]
    return dict(folder)


def test_through_a_script_of_sharing_roles_hold(everyone: Everyone) -> None:
    """Each step begins with what the one before it left."""
    for step in (
        each_sees_what_their_role_says_and_nothing_beside,
        what_the_editor_does_reaches_the_others_and_what_the_reader_does_stays_with_them,
        what_is_moved_out_leaves_the_members_and_what_is_moved_in_comes,
        rights_that_change_hold_at_once_and_lose_nothing,
        the_end_of_a_share_is_said_and_every_file_stays,
        who_may_see_names_only_by_now_keeps_every_file_too,
    ):
        step(everyone)


def each_sees_what_their_role_says_and_nothing_beside(everyone: Everyone) -> None:
    ada, ben, cleo, dan = everyone.values()
    settle(ada, ben, cleo)
    study = {"scan.dcm": b"scan", "series/1": b"one", "series/2": b"two"}
    assert files(ben) == files(cleo) == study
    assert [item["name"] for item in dan.mb_sync.json("ls", "/")] == ["/Home", "/Shared/Study"]
    listed = dan.mb_sync.json("ls", "/Shared/Study")
    assert [(item["name"], item["size"]) for item in listed] == [("scan.dcm", 0), ("series", 0)]
    refused = dan.mb_sync("add", "/Shared/Study", dan.folder)
    assert (refused.returncode, "names only" in refused.stderr) == (1, True)
    who = {row["who"]: row["role"] for row in ben.mb_sync.json("who", "/Shared/Study")}
    assert who == {"user:ada": "owner", "user:ben": "editor", "user:cleo": "reader", "user:dan": "metadata"}


def what_the_editor_does_reaches_the_others_and_what_the_reader_does_stays_with_them(
    everyone: Everyone,
) -> None:
    ada, ben, cleo, _ = everyone.values()
    ben.save("scan.dcm", b"edited by ben")
    ben.write("report.txt", b"of ben")
    cleo.write("notes.txt", b"of cleo")
    cleo.save("series/1", b"edited by cleo")
    cleo.delete("series/2")
    cleo.move("scan.dcm", "series/moved.dcm")
    settle(ben, ada, cleo)
    study = {
        "scan.dcm": b"edited by ben",
        "report.txt": b"of ben",
        "series/1": b"one",
        "series/2": b"two",
    }
    until(lambda: files(ben) == study, "ben's are his own and ada's")
    assert {path.removeprefix("Study/"): data for path, data in files(ada).items()} == study | {
        "private/diary": b"mine alone"
    }
    until(
        lambda: files(cleo) == study | {"notes.txt": b"of cleo", "series/1 (my copy)": b"edited by cleo"},
        "cleo has all of it and her own beside it",
    )
    settle(cleo)
    folder = folder_of(cleo)
    assert (folder["read_only"], folder["own_files"], folder["state"]) == (True, 2, "synced")
    assert "read only · 2 files of your own" in cleo.mb_sync.done("status")


def what_is_moved_out_leaves_the_members_and_what_is_moved_in_comes(everyone: Everyone) -> None:
    ada, ben, cleo, _ = everyone.values()
    ada.move("Study/series", "private/series")
    ada.write("private/atlas/map", b"map")
    settle(ada)
    ada.move("private/atlas", "Study/atlas")
    settle(ada)
    for member in (ben, cleo):
        until(lambda at=member: "atlas/map" in files(at) and "series/1" not in files(at), "it left and came")  # type: ignore[misc]
    assert files(cleo)["series/1 (my copy)"] == b"edited by cleo"  # her own stays, with the folder around it
    assert "series" not in ben.tree()


def rights_that_change_hold_at_once_and_lose_nothing(everyone: Everyone) -> None:
    ada, ben, cleo, _ = everyone.values()
    ada.mb_sync.done("share", "/Home/Study", "--with", "user:ben", "--role", "reader")
    until(lambda: bool(folder_of(ben)["read_only"]), "ben knows that he only reads")
    ben.save("report.txt", b"too late")
    settle(ben)
    until(lambda: files(ben).get("report (my copy).txt") == b"too late", "his edit is his own")
    assert files(ben)["report.txt"] == b"of ben"

    ada.mb_sync.done("share", "/Home/Study", "--with", "user:cleo", "--role", "editor")
    until(lambda: files(ada).get("Study/notes.txt") == b"of cleo", "what cleo had of her own goes up")
    assert not folder_of(cleo)["read_only"]


def the_end_of_a_share_is_said_and_every_file_stays(everyone: Everyone) -> None:
    ada, _, cleo, dan = everyone.values()
    settle(cleo)
    before = files(cleo)
    ada.mb_sync.done("share", "/Home/Study", "--with", "user:cleo", "--remove")
    ada.mb_sync.done("share", "/Home/Study", "--with", "user:dan", "--remove")
    until(lambda: folder_of(cleo)["state"] == "error", "cleo's folder says that it is over")
    assert "not shared with you any more" in str(folder_of(cleo)["words"])
    cleo.write("after.txt", b"written after it")
    ada.write("Study/later", b"not for cleo")
    settle(ada)
    assert files(cleo) == before | {"after.txt": b"written after it"}
    assert [item["name"] for item in dan.mb_sync.json("ls", "/")] == ["/Home"]
    assert dan.mb_sync("ls", "/Shared/Study").returncode == 1

    ada.mb_sync.done("share", "/Home/Study", "--with", "user:cleo", "--role", "reader")
    until(lambda: files(cleo).get("later") == b"not for cleo", "shared again, it goes on")
    assert files(cleo)["after.txt"] == b"written after it"


def who_may_see_names_only_by_now_keeps_every_file_too(everyone: Everyone) -> None:
    ada, _, cleo, _ = everyone.values()
    settle(cleo)
    before = files(cleo)
    ada.mb_sync.done("share", "/Home/Study", "--with", "user:cleo", "--role", "metadata")
    until(lambda: folder_of(cleo)["state"] == "error", "cleo's folder says that it may not be read")
    assert "names only by now" in str(folder_of(cleo)["words"])
    ada.write("Study/later still", b"not for cleo yet")
    settle(ada)
    assert files(cleo) == before
    ada.mb_sync.done("share", "/Home/Study", "--with", "user:cleo", "--role", "reader")
    until(lambda: "later still" in files(cleo), "she may read again, and it goes on")
    assert files(cleo) == before | {"later still": b"not for cleo yet"}
