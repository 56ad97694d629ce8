"""A home with a quota, filled by a real client."""

from __future__ import annotations

import random

from tests.support.computers import Together
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
