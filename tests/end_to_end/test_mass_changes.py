"""A mass delete asks a person first, in real processes: status, `mb-sync guard`, a kill, a decision."""

from __future__ import annotations

import pytest

from tests.support.computers import Computer, Together, until

pytestmark = pytest.mark.timeout(300)

MANY = 120


def files(computer: Computer) -> int:
    return sum(1 for one in computer.tree().values() if one.kind == "file")


@pytest.mark.parametrize("decision", ["apply", "restore"])
def test_a_mass_delete_waits_over_a_kill_until_somebody_decides(pair: Together, decision: str) -> None:
    for image in range(MANY):
        pair.a.write(f"series/{image}.dcm", b"DICM %d" % image)
    pair.settle()
    pair.a.start_working()
    # at once: of files that go one by one, the first hundred are everyday work and are passed on
    (pair.a.folder / "series").rename(pair.a.folder.with_name("taken away"))
    until(lambda: pair.a.status()["state"] == "attention", "it asks")
    words = pair.a.mb_sync.done("status")
    assert "mb-sync guard" in words
    [waiting] = pair.a.mb_sync.json("guard")
    assert (waiting["what"], waiting["count"], waiting["folder"]) == (
        "deleted-here",
        MANY + 1,
        str(pair.a.folder),
    )
    assert "series" in pair.a.mb_sync.done("guard")
    listed = pair.a.mb_sync.done("guard", "list", pair.a.folder).splitlines()
    assert len(listed) == waiting["count"]
    assert all("series" in line for line in listed)
    assert pair.a.mb_sync("guard", "list", pair.a.folder.parent).returncode == 1
    pair.a.kill9()
    pair.b.once()
    assert files(pair.b) == MANY
    pair.a.start_working()
    pair.a.wait()
    assert len(pair.a.mb_sync.json("guard")) == 1
    pair.a.mb_sync.done("guard", decision, pair.a.folder)
    pair.a.wait()
    pair.a.mb_sync.comes_to("synced")
    if decision == "apply":  # the other computer asks as well: there nobody has agreed
        pair.b.once()
        assert files(pair.b) == MANY
        pair.b.mb_sync.done("guard", "apply")
    pair.settle()
    assert files(pair.a) == files(pair.b) == (MANY if decision == "restore" else 0)
    refused = pair.a.mb_sync("guard", decision)
    assert refused.returncode == 1
    assert "Nothing waits" in refused.stderr
    pair.sound()
