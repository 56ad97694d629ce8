"""Things that hold up themselves and nothing else; a server that is away; a file that is being written."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from tests.support.computers import Together, until

pytestmark = pytest.mark.timeout(300)


def test_what_cannot_be_synced_is_named_and_the_rest_goes_on(corner: Together) -> None:
    corner.a.write("d/before.txt", b"before")
    os.mkfifo(corner.a.at("d/pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{os.open(corner.a.at('d'), os.O_RDONLY)}/socket")
        with open(os.fsencode(corner.a.at("d")) + b"/not-\xff-text", "wb") as file:
            file.write(b"a name that is not text")
        corner.a.write("d/after.txt", b"after")
        corner.settle()
    assert set(corner.b.tree()) == {"d", "d/before.txt", "d/after.txt"}
    problems = corner.a.problems()
    assert set(problems) == {"d/pipe", "d/socket", "d/not-\\xff-text"}
    corner.a.mb_sync.comes_to("attention")
    corner.b.mb_sync.comes_to("synced")
    assert "The server keeps what was deleted for 30 days" in corner.b.status()["retention"]
    for path in ("d/pipe", "d/socket"):
        corner.a.at(path).unlink()
    os.unlink(os.fsencode(corner.a.at("d")) + b"/not-\xff-text")
    until(lambda: corner.a.status()["state"] == "synced", "nothing is in the way any more")
    corner.settle()


def test_a_file_that_is_being_written_arrives_whole(corner: Together) -> None:
    corner.settle()
    whole = bytes(range(256)) * 400

    def write_slowly() -> None:
        with corner.a.at("scan.dcm").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 25):
                file.write(whole[start : start + len(whole) // 25])
                file.flush()
                time.sleep(0.1)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    corner.a.write("beside.txt", b"does not wait for it")
    until(lambda: corner.b.at("beside.txt").exists(), "the file beside arrives meanwhile")
    writer.join()
    until(lambda: corner.b.at("scan.dcm").exists() and corner.b.read("scan.dcm") == whole, "it arrives whole")
    corner.settle()
    assert set(corner.a.tree()) == {"scan.dcm", "beside.txt"}


def test_without_a_server_it_says_offline_and_catches_up(corner: Together) -> None:
    corner.a.write("before.txt", b"before")
    corner.settle()
    corner.server.stop()
    try:
        for computer in corner.computers:
            until(lambda: computer.status()["state"] == "offline", "offline is shown")  # noqa: B023
        corner.a.write("meanwhile-a.txt", b"a")
        corner.b.write("meanwhile-b.txt", b"b")
        corner.b.save("before.txt", b"edited without a server")
    finally:
        corner.server.start()
    for computer in corner.computers:
        until(lambda: computer.status()["state"] == "synced", "synced again by itself")  # noqa: B023
    until(lambda: corner.a.tree() == corner.b.tree(), "both are equal by themselves")
    corner.settle()
    assert corner.a.read("before.txt") == b"edited without a server"
    assert set(corner.a.tree()) == {"before.txt", "meanwhile-a.txt", "meanwhile-b.txt"}


def test_stopped_and_started_again_nothing_is_forgotten(corner: Together) -> None:
    for name in ("one", "two", "three"):
        corner.a.write(name, name.encode())
    corner.settle()
    corner.stop()
    corner.a.move("one", "d/one")
    corner.a.delete("two")
    corner.b.save("three", b"three, edited")
    corner.start()
    corner.settle()
    assert set(corner.a.tree()) == {"d", "d/one", "three"}
    assert corner.a.read("three") == b"three, edited"


def test_paused_it_does_nothing_until_resumed(corner: Together) -> None:
    corner.settle()
    corner.b.mb_sync.done("pause")
    assert corner.b.status()["state"] == "paused"
    corner.a.write("new.txt", b"new")
    corner.a.wait()
    time.sleep(0.5)
    assert corner.b.tree() == {}
    corner.b.mb_sync.done("resume")
    until(lambda: corner.b.at("new.txt").exists(), "it goes on")
    corner.settle()
