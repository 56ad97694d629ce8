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
            clinic.write(f"Zweistein/{number}.dcm", file_bytes(image))
        clinic.once()
        ends = ["server"] * KILLS + ["worker"] * WORKER_KILLS
        chance.shuffle(ends)
        for end in ends:
            published = jobs(server).get("published", 0)
            wanted = min(IMAGES, published + chance.randint(0, IMAGES // len(ends)))
            until(lambda wanted=wanted: jobs(server).get("published", 0) >= wanted, "some more", 300)  # type: ignore[misc]
            if end == "server":
                server.kill9()
                server.start()
            elif jobs(server) != {"published": IMAGES}:
                until(lambda: kill_a_worker(server, chance), "there is a worker to kill", 300)
        until(lambda: jobs(server) == {"published": IMAGES}, "all are published", 300)
        research.once()
        images = {path: research.read(path) for path, seen in research.tree().items() if seen.kind == "file"}
        assert len(images) == IMAGES
        assert not any("-2.dcm" in path for path in images)  # nothing twice, beside itself
        assert found_in(["zweistein"], b"".join([*images.values(), "".join(images).encode()])) == []
        server.check_deep()


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


def jobs(server: RunningServer) -> dict[str, int]:
    """How many there are in each state."""
    done = server.command("rule", "list", "--json")
    assert done.returncode == 0, done.stderr
    [rule] = json.loads(done.stdout)
    return dict(rule["jobs"])
