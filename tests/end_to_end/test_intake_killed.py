"""Killed again and again while an intake is worked through, a server publishes each image once and loses none."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from tests.support.computers import Computer, until
from tests.support.dicom_studies import an_image, file_bytes, found_in
from tests.support.server import RunningServer

SEED = int(os.environ.get("MB_SEED", "1"), 0)
IMAGES = 500 if float(os.environ.get("MB_BUDGET_SECONDS", "20")) > 100 else 40
KILLS = 3


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
        for _ in range(KILLS):
            published = jobs(server).get("published", 0)
            wanted = min(IMAGES, published + chance.randint(0, IMAGES // KILLS))
            until(lambda wanted=wanted: jobs(server).get("published", 0) >= wanted, "some more")  # type: ignore[misc]
            server.kill9()
            server.start()
        until(lambda: jobs(server) == {"published": IMAGES}, "all are published", 300)
        research.once()
        images = {path: research.read(path) for path, seen in research.tree().items() if seen.kind == "file"}
        assert len(images) == IMAGES
        assert not any("-2.dcm" in path for path in images)  # nothing twice, beside itself
        assert found_in(["zweistein"], b"".join([*images.values(), "".join(images).encode()])) == []
        server.check_deep()


def operate(server: RunningServer, *words: str) -> None:
    done = server.command("project", *words)
    assert done.returncode == 0, done.stderr


def jobs(server: RunningServer) -> dict[str, int]:
    """How many there are in each state."""
    done = server.command("rule", "list", "--json")
    assert done.returncode == 0, done.stderr
    [rule] = json.loads(done.stdout)
    return dict(rule["jobs"])
