"""Things that hold up themselves and nothing else; a server that is away; a file that is being written."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from tests.support.computers import Together, until

pytestmark = pytest.mark.timeout(120)


def test_what_cannot_be_synced_is_named_and_the_rest_goes_on(running_pair: Together) -> None:
    pair = running_pair
    pair.a.write("d/before.txt", b"before")
    os.mkfifo(pair.a.at("d/pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{os.open(pair.a.at('d'), os.O_RDONLY)}/socket")
        with open(os.fsencode(pair.a.at("d")) + b"/not-\xff-text", "wb") as file:
            file.write(b"a name that is not text")
        pair.a.write("d/after.txt", b"after")
        pair.settle()
    assert set(pair.b.tree()) == {"d", "d/before.txt", "d/after.txt"}
    problems = pair.a.problems()
    assert set(problems) == {"d/pipe", "d/socket", "d/not-\\udcff-text"}
    assert pair.a.status()["state"] == "attention"
    assert pair.b.status()["state"] == "synced"
    for path in ("d/pipe", "d/socket"):
        pair.a.at(path).unlink()
    os.unlink(os.fsencode(pair.a.at("d")) + b"/not-\xff-text")
    until(lambda: pair.a.status()["state"] == "synced", "nothing is in the way any more")
    pair.settle()
    pair.sound()


def test_a_file_that_is_being_written_arrives_whole(running_pair: Together) -> None:
    pair = running_pair
    pair.settle()
    whole = bytes(range(256)) * 400

    def write_slowly() -> None:
        with pair.a.at("scan.dcm").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 25):
                file.write(whole[start : start + len(whole) // 25])
                file.flush()
                time.sleep(0.1)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    pair.a.write("beside.txt", b"does not wait for it")
    until(lambda: pair.b.at("beside.txt").exists(), "the file beside arrives meanwhile")
    writer.join()
    until(lambda: pair.b.at("scan.dcm").exists() and pair.b.read("scan.dcm") == whole, "it arrives whole")
    pair.settle()
    assert set(pair.a.tree()) == {"scan.dcm", "beside.txt"}
    pair.sound()


def test_without_a_server_it_says_offline_and_catches_up(running_pair: Together) -> None:
    pair = running_pair
    pair.a.write("before.txt", b"before")
    pair.settle()
    pair.server.stop()
    try:
        for computer in pair.computers:
            until(lambda: computer.status()["state"] == "offline", "offline is shown")  # noqa: B023
        pair.a.write("meanwhile-a.txt", b"a")
        pair.b.write("meanwhile-b.txt", b"b")
        pair.b.save("before.txt", b"edited without a server")
    finally:
        pair.server.start()
    for computer in pair.computers:
        until(lambda: computer.status()["state"] == "synced", "synced again by itself")  # noqa: B023
    until(lambda: pair.a.tree() == pair.b.tree(), "both are equal by themselves")
    pair.settle()
    assert pair.a.read("before.txt") == b"edited without a server"
    assert set(pair.a.tree()) == {"before.txt", "meanwhile-a.txt", "meanwhile-b.txt"}
    pair.sound()


def test_stopped_and_started_again_nothing_is_forgotten(running_pair: Together) -> None:
    pair = running_pair
    for name in ("one", "two", "three"):
        pair.a.write(name, name.encode())
    pair.settle()
    pair.stop()
    pair.a.move("one", "d/one")
    pair.a.delete("two")
    pair.b.save("three", b"three, edited")
    pair.start()
    pair.settle()
    assert set(pair.a.tree()) == {"d", "d/one", "three"}
    assert pair.a.read("three") == b"three, edited"
    pair.sound()


def test_paused_it_does_nothing_until_resumed(running_pair: Together) -> None:
    pair = running_pair
    pair.settle()
    pair.b.mb_sync.done("pause")
    assert pair.b.status()["state"] == "paused"
    pair.a.write("new.txt", b"new")
    pair.a.wait()
    time.sleep(0.5)
    assert pair.b.tree() == {}
    pair.b.mb_sync.done("resume")
    until(lambda: pair.b.at("new.txt").exists(), "it goes on")
    pair.settle()
    pair.sound()
