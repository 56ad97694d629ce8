"""A home with a quota, filled by a real client."""

from __future__ import annotations

import random

from sync_client.screens import painter, status_screen
from tests.support.computers import Together, until
from tests.support.server import RunningServer


def test_what_does_not_fit_is_listed_and_the_rest_goes_on(server: RunningServer, pair: Together) -> None:
    noise = random.Random(1)
    assert server.command("user", "quota", pair.user, "50K").returncode == 0
    pair.a.write("large.dcm", noise.randbytes(90_000))
    pair.a.write("small.dcm", noise.randbytes(9_000))
    ended = pair.a.once()
    assert ended["state"] == "attention", ended
    [problem] = [problem for folder in ended["folders"] for problem in folder["problems"]]
    assert (problem["path"], problem["code"]) == ("large.dcm", "over-quota")
    assert "larger quota" in problem["message"]
    pair.b.once()
    assert set(pair.b.tree()) == {"small.dcm"}
    assert server.command("user", "quota", pair.user, "default").returncode == 0
    pair.a.once()
    pair.b.once()
    assert pair.b.tree() == pair.a.tree()
    server.check_deep()


def test_bytes_that_do_not_fit_are_not_sent_and_status_tells_what_is_left(
    server: RunningServer, pair: Together
) -> None:
    noise = random.Random(2)
    assert server.command("user", "quota", pair.user, "500K").returncode == 0
    pair.a.write("large.dcm", noise.randbytes(900_000))
    pair.a.write("one.dcm", noise.randbytes(300_000))
    pair.a.write("another.dcm", noise.randbytes(300_000))
    ended = pair.a.once()
    [folder] = ended["folders"]
    codes = {problem["path"]: problem["code"] for problem in folder["problems"]}
    assert set(codes.values()) == {"over-quota"}, ended
    assert len(codes) == 2  # and one of the two small ones went
    assert "large.dcm" in codes
    assert folder["quota"] == {"quota_bytes": 512_000, "used_bytes": 300_000, "free_bytes": 212_000}
    assert ended["traffic"]["sent_bytes"] < 500_000  # of 1,500,000
    assert "212 kB of 512 kB left on the server" in status_screen(ended, painter(colours=False))


def test_what_waits_for_room_goes_up_by_itself_when_there_is_some(
    server: RunningServer, pair: Together
) -> None:
    assert server.command("user", "quota", pair.user, "100K").returncode == 0
    pair.a.write("large.dcm", random.Random(3).randbytes(200_000))
    pair.a.start_working()
    pair.a.wait()
    assert pair.a.problems() == {"large.dcm": "over-quota"}
    assert server.command("user", "quota", pair.user, "default").returncode == 0
    until(lambda: not pair.a.problems(), "there is room", seconds=120)
    pair.a.wait()  # it is tried again: the sentence goes away before the last byte has arrived
    pair.a.stop()
    pair.b.once()
    assert pair.b.tree() == pair.a.tree()


def test_a_project_has_a_quota_of_its_own(server: RunningServer, pair: Together) -> None:
    assert server.command("project", "create", "Nerves").returncode == 0
    assert server.command("project", "quota", "Nerves", "50K").returncode == 0
    assert (
        server.command("project", "grant", "Nerves", f"user:{pair.user}", "--role", "owner").returncode == 0
    )
    folder = pair.a.base / "anvil" / "nerves"
    pair.a.mb_sync.done("add", "/Projects/Nerves", folder)
    (folder / "large.dcm").write_bytes(random.Random(4).randbytes(90_000))
    told = {one["remote"]: one for one in pair.a.once()["folders"]}
    assert [problem["code"] for problem in told["/Projects/Nerves"]["problems"]] == ["over-quota"]
    assert told["/Projects/Nerves"]["quota"]["quota_bytes"] == 51_200
    assert told["/Home/study"]["quota"] is None
    refused = server.command("project", "quota", "Nerves", "1G", "--intake")
    assert refused.returncode == 1
    assert "has no intake" in refused.stderr
