"""What the user of this computer may not read or write: it is named, the rest goes on, and it is cured by itself.

The tests may run as root, whom no mode holds back: there `mb-sync` runs without that privilege.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.computers import until
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
HELD_BACK = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if IS_ROOT else ()

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX"),
    pytest.mark.skipif(
        IS_ROOT and not shutil.which("setpriv"), reason="root without setpriv may do everything"
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user("ana")
        yield running


@pytest.fixture
def ana(server: RunningServer, tmp_path: Path) -> Iterator[MbSync]:
    mb_sync = MbSync(tmp_path / "home", before=HELD_BACK)
    mb_sync.login(server.url, "ana", PASSWORD)
    yield mb_sync
    mb_sync("stop")


def problems(mb_sync: MbSync) -> dict[str, str]:
    """Path → code."""
    [folder] = mb_sync.json("status")["folders"]
    return {problem["path"]: problem["code"] for problem in folder["problems"]}


def on_server(mb_sync: MbSync, remote: str) -> set[str]:
    return {item["name"] for item in mb_sync.json("ls", remote)}


def test_an_unreadable_file_or_folder_is_named_and_goes_up_once_it_is_readable(
    ana: MbSync, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    (study / "closed").mkdir(parents=True)
    (study / "closed" / "inside.dcm").write_bytes(b"inside")
    (study / "secret.dcm").write_bytes(b"secret")
    (study / "beside.dcm").write_bytes(b"beside")
    (study / "secret.dcm").chmod(0)
    (study / "closed").chmod(0)
    ana.done("add", "/Home/unreadable", study, "--create")
    ran = ana("once")
    assert (ran.returncode, "secret.dcm" in ran.stdout, "closed" in ran.stdout) == (3, True, True), ran.stdout
    assert on_server(ana, "/Home/unreadable") == {"beside.dcm", "closed"}
    with ana.running():
        assert ana("wait", "--timeout", "90").returncode == 3
        ana.comes_to("attention")
        assert problems(ana) == {"secret.dcm": "unreadable", "closed": "unreadable"}
        (study / "secret.dcm").chmod(0o600)
        (study / "closed").chmod(0o700)
        until(lambda: ana.json("status")["state"] == "synced", "it goes on by itself", 90)
    assert on_server(ana, "/Home/unreadable") == {"beside.dcm", "closed", "secret.dcm"}
    assert on_server(ana, "/Home/unreadable/closed") == {"inside.dcm"}


def test_a_file_that_became_unreadable_is_neither_deleted_nor_emptied_elsewhere(
    ana: MbSync, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    (study / "closed").mkdir(parents=True)
    (study / "closed" / "inside.dcm").write_bytes(b"inside")
    (study / "scan.dcm").write_bytes(b"DICM")
    ana.done("add", "/Home/closed", study, "--create")
    ana.done("once")
    (study / "scan.dcm").write_bytes(b"DICM, edited")
    (study / "scan.dcm").chmod(0)
    (study / "closed").chmod(0)
    assert ana("once").returncode == 3
    (study / "closed").chmod(0o700)
    (study / "scan.dcm").chmod(0o600)
    assert {item["name"]: item["size"] for item in ana.json("ls", "/Home/closed")}["scan.dcm"] == 4
    assert on_server(ana, "/Home/closed/closed") == {"inside.dcm"}
    ana.done("once")
    assert {item["name"]: item["size"] for item in ana.json("ls", "/Home/closed")}["scan.dcm"] == 12


def test_a_folder_that_cannot_be_written_is_not_followed(ana: MbSync, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    for place in (tmp_path / "locked", tmp_path / "locked" / "inside"):
        ran = ana("add", "/Home/refused", place, "--create")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr.startswith(f"mb-sync: You may not write in {tmp_path / 'locked'}.")
    assert "refused" not in on_server(ana, "/Home")
    assert list((tmp_path / "locked").iterdir()) == []


def two_follow(server: RunningServer, ana: MbSync, tmp_path: Path, remote: str) -> tuple[MbSync, Path, Path]:
    """Another computer of ana's, her folder and that one's."""
    study, other = tmp_path / "study", tmp_path / "other"
    elsewhere = MbSync(tmp_path / "home elsewhere")
    elsewhere.login(server.url, "ana", PASSWORD, device_name="elsewhere")
    ana.done("add", remote, study, "--create")
    elsewhere.done("add", remote, other)
    return elsewhere, study, other


def test_what_cannot_be_put_in_its_place_is_named_and_the_rest_arrives(
    server: RunningServer, ana: MbSync, tmp_path: Path
) -> None:
    elsewhere, study, other = two_follow(server, ana, tmp_path, "/Home/locked")
    (study / "series").mkdir()
    (study / "series" / "old.dcm").write_bytes(b"old")
    ana.done("once")
    elsewhere.done("once")
    (study / "series").chmod(0o555)
    (other / "series" / "new.dcm").write_bytes(b"new")
    (other / "beside.dcm").write_bytes(b"beside")
    elsewhere.done("once")
    with ana.running():
        assert ana("wait", "--timeout", "90").returncode == 3
        assert (study / "beside.dcm").read_bytes() == b"beside"
        assert set(problems(ana)) == {"series/new.dcm"}
        (study / "series").chmod(0o755)
        until(lambda: ana.json("status")["state"] == "synced", "it goes on by itself", 15)
    assert (study / "series" / "new.dcm").read_bytes() == b"new"


def test_what_lies_in_a_folder_that_cannot_be_made_waits_with_it(
    server: RunningServer, ana: MbSync, tmp_path: Path
) -> None:
    elsewhere, study, other = two_follow(server, ana, tmp_path, "/Home/unmade")
    (study / "series").mkdir()
    (study / "moves.dcm").write_bytes(b"moves")
    ana.done("once")
    elsewhere.done("once")
    (study / "series").chmod(0o555)
    (other / "series" / "day" / "deep").mkdir(parents=True)
    for number in range(5):
        (other / "series" / "day" / "deep" / f"{number}.dcm").write_bytes(b"%d" % number)
    (other / "moves.dcm").rename(other / "series" / "day" / "moved.dcm")
    (other / "beside.dcm").write_bytes(b"beside")
    elsewhere.done("once")
    with ana.running():
        assert ana("wait", "--timeout", "60").returncode == 3, "it comes to rest"
        assert (study / "beside.dcm").read_bytes() == b"beside"
        [folder] = ana.json("status")["folders"]
        assert "series/day" in {one["path"] for one in folder["problems"]}
        assert all(one["tries"] < 10 for one in folder["problems"]), folder["problems"]
        (study / "series").chmod(0o755)
        until(lambda: ana.json("status")["state"] == "synced", "it goes on by itself", 30)
    assert (study / "series" / "day" / "deep" / "4.dcm").read_bytes() == b"4"
    assert (study / "series" / "day" / "moved.dcm").read_bytes() == b"moves"
