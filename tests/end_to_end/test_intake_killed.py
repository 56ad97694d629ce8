"""Killed again and again while an intake is worked through, a server and its workers publish each image once."""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.computers import Computer, until
from tests.support.dicom_studies import an_image, file_bytes, found_in
from tests.support.server import RunningServer

SEED = int(os.environ.get("MB_SEED", "1"), 0)
IMAGES = 500 if float(os.environ.get("MB_BUDGET_SECONDS", "20")) > 100 else 40
KILLS = 3  # of the server
WORKER_KILLS = 8 if IMAGES > 100 else 4
IS_LONG = IMAGES > 100  # with a second rule behind the first, and a folder that is withdrawn in the midst
WITHDRAWN = IMAGES // 10 if IS_LONG else 0
KEPT = IMAGES - WITHDRAWN


@pytest.mark.timeout(600)
def test_killed_at_random_each_image_is_published_once(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with RunningServer(tmp_path / "data") as server:
        for user in ("cli", "ben"):
            server.add_user(user)
        operate(server, "create", "Nerves", "--template", "imaging")
        operate(server, "grant", "Nerves", "user:cli", "--role", "clinician")
        operate(server, "grant", "Nerves", "user:ben", "--role", "reader")
        clinic, research = Computer(tmp_path, "clinic"), Computer(tmp_path, "research")
        clinic.login(server, "cli")
        clinic.follow("/Projects/Nerves/Intake")
        research.login(server, "ben")
        research.follow("/Projects/Nerves")
        for number in range(IMAGES):
            image = an_image(SOPInstanceUID=f"1.2.826.0.1.99.1.1.{number}", InstanceNumber=number)
            folder = "Gone" if number % 10 == 9 and IS_LONG else "Zweistein"
            clinic.write(f"{folder}/{number}.dcm", file_bytes(image))
        clinic.once()
        if IS_LONG:
            again = server.command(
                "rule", "add", "dicom-deidentify", "/Projects/Nerves/Data", "/Projects/Nerves"
            )
            assert again.returncode == 0, again.stderr
        early: dict[str, bytes] = {}
        ends = ["server"] * KILLS + ["worker"] * WORKER_KILLS
        chance.shuffle(ends)
        for end in ends:
            published = jobs(server).get("published", 0)
            wanted = min(KEPT, published + chance.randint(0, IMAGES // len(ends)))
            until(lambda wanted=wanted: jobs(server).get("published", 0) >= wanted, "some more", 300)  # type: ignore[misc]
            if end == "server":
                server.kill9()
                server.start()
                research.once()
                early |= pictures(research)
            elif not is_done(server):
                until(
                    lambda: kill_a_worker(server, chance) or is_done(server), "there is a worker to kill", 300
                )
            if IS_LONG and end == "server":  # the first time it takes something, then nothing more is there
                gone = server.command("withdraw", "/Projects/Nerves/Intake/Gone")
                assert gone.returncode == 0, gone.stderr
        until(lambda: is_done(server), "all are published", 300)
        research.once()
        images = pictures(research)
        assert early, "nothing had come out before the end"
        assert {
            path: data for path, data in early.items() if images.get(path, data) != data
        } == {}  # none came early
        assert len(images) == KEPT * (2 if IS_LONG else 1)
        assert not any("-2.dcm" in path for path in images)  # nothing twice, beside itself
        everything = [*images.values(), *early.values(), "".join((*images, *early)).encode()]
        assert found_in(["zweistein"], b"".join(everything)) == []
        server.check_deep()


def pictures(research: Computer) -> dict[str, bytes]:
    return {path: research.read(path) for path, seen in research.tree().items() if seen.kind == "file"}


def kill_a_worker(server: RunningServer, chance: random.Random) -> bool:
    """One that waits, or the child of one that works on an image; False: there is none at this moment."""
    workers = [pid for pid in children(server.pid) if "blocks.runners.worker" in words_of(pid)]
    alive = [pid for worker in workers for pid in (worker, *children(worker))]
    if not alive:
        return False
    with suppress(ProcessLookupError):
        os.kill(chance.choice(alive), signal.SIGKILL)
    return True


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    with suppress(OSError):
        return [int(child) for thread in threads for child in thread.read_text().split()]
    return []


def words_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def operate(server: RunningServer, *words: str) -> None:
    done = server.command("project", *words)
    assert done.returncode == 0, done.stderr


def is_done(server: RunningServer) -> bool:
    """Whether every rule published each image that was not withdrawn, and has nothing else to do."""
    every = rules(server)
    ended = all(found.keys() <= {"published", "gone"} for found in every)
    return ended and all(found.get("published") == KEPT for found in every)


def jobs(server: RunningServer) -> dict[str, int]:
    """How many of the intake's there are in each state."""
    return rules(server)[0]


def rules(server: RunningServer) -> list[dict[str, int]]:
    """Of each rule how many jobs there are in each state."""
    done = server.command("rule", "list", "--json")
    assert done.returncode == 0, done.stderr
    return [dict(rule["jobs"]) for rule in json.loads(done.stdout)]
