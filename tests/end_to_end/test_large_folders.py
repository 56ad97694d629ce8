"""A large folder that is new on the server, as a person meets it: real programs, each word of the command line."""

from __future__ import annotations

import pytest

from tests.support.computers import Together

pytestmark = pytest.mark.timeout(300)


def test_it_waits_is_told_and_comes_when_it_is_wanted(pair: Together) -> None:
    pair.settle()
    mb_sync = pair.b.mb_sync
    assert "New folders above 10 GB wait for you" in mb_sync.done("limit")
    for wrong in ("1X", "-5", "0", "many"):
        refused = mb_sync("limit", "--new-folders", wrong)
        assert (refused.returncode, "is no size of a folder" in refused.stderr) == (2, True), refused.stderr
    assert "New folders above 1.0 kB wait for you" in mb_sync.done(
        "limit", "--new-folders", "1K", "--up", "9M"
    )
    assert mb_sync.json("limit", "--off") == {
        "up": None,
        "down": None,
        "begins": None,
        "ends": None,
        "new_folders": 1_000,
    }
    pair.a.write("raw/1.dcm", b"1" * 2_000)
    pair.a.once()
    told = mb_sync("once")
    assert (told.returncode, "raw: It is new and large (1 file, 0.0 MB)" in told.stdout) == (3, True), (
        told.stdout
    )
    assert "raw   new and large: waits for you (1 file, 2.0 kB)" in mb_sync.done("exclude", "list")
    with mb_sync.running():
        assert mb_sync("wait", "--timeout", "90").returncode == 3
        mb_sync.done("exclude", pair.b.at("raw"), "--remove")
        assert mb_sync("wait", "--timeout", "90").returncode == 0
    assert pair.b.read("raw/1.dcm") == b"1" * 2_000
    assert "New folders come without asking" in mb_sync.done("limit", "--new-folders", "off")
    pair.sound()
