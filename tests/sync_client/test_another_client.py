"""One folder, two clients: the second one is refused, whoever's it is, and the first one goes on.

The real `mb-sync` and `mb-synclight` against a real `mb-server`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_client.home import has_marker
from tests.support.light import MbSyncLight
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer

pytestmark = pytest.mark.timeout(300)

FILES = {"scan.dcm": b"DICM", "series/1.dcm": b"one"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user("ana")
        running.add_user("ben")
        yield running


@pytest.fixture
def ana(server: RunningServer, tmp_path: Path) -> MbSync:
    mb_sync = MbSync(tmp_path / "home of ana")
    mb_sync.login(server.url, "ana", PASSWORD)
    return mb_sync


@pytest.fixture
def ben(server: RunningServer, tmp_path: Path) -> MbSync:
    mb_sync = MbSync(tmp_path / "home of ben")
    mb_sync.login(server.url, "ben", PASSWORD, device_name="tower")
    return mb_sync


@pytest.fixture
def study(ana: MbSync, tmp_path: Path) -> Path:
    """A folder that ana's client follows, synced; the remote one has the test's own name."""
    folder = tmp_path / "data" / "study"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    ana.done("add", remote(tmp_path), folder, "--create")
    ana.done("once")
    return folder


def remote(tmp_path: Path) -> str:
    return f"/Home/{tmp_path.name}"


def refused(ran: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert ran.stderr.strip().count("\n") == 0, ran.stderr
    for word in words:
        assert word in ran.stderr, ran.stderr


def names(mb_sync: MbSync, path: str) -> list[str]:
    return sorted(item["name"] for item in mb_sync.json("ls", path))


def test_what_another_account_follows_is_refused_and_goes_on_there(
    ana: MbSync, ben: MbSync, study: Path, tmp_path: Path, server: RunningServer
) -> None:
    before = (study / ".mb-sync/marker.json").read_bytes()
    with ana.running():
        refused(
            ben("add", "/Home/mine", study, "--create"),
            "followed already by another client",
            f"ana, on laptop, with {server.url}",
            "--take-over",
        )
        with ben.running():  # and where a running client is asked
            refused(ben("add", "/Home/mine", study, "--create"), "ana, on laptop")
        assert (names(ben, "/Home"), ben.json("once")["folders"]) == ([], [])
        (study / "new.dcm").write_bytes(b"new")
        ana.done("wait", "--timeout", "90")
    assert names(ana, remote(tmp_path)) == ["new.dcm", "scan.dcm", "series"]
    assert (
        before.replace(b'"generation":1', b'"generation":2') == (study / ".mb-sync/marker.json").read_bytes()
    )


def test_a_folder_above_or_inside_one_of_another_client_is_refused(
    ben: MbSync, study: Path, tmp_path: Path
) -> None:
    refused(ben("add", "/Home/mine", study.parent, "--create"), f"contains {study}", "ana, on laptop")
    refused(
        ben("add", "/Home/mine", study / "series", "--create"),
        f"inside the followed folder {study}",
        f"delete {study / '.mb-sync/marker.json'}",
    )
    beside = tmp_path / "data" / "of ben"
    ben.done("add", "/Home/mine", beside, "--create")  # two accounts of one person, each with its own folder
    ben.done("once")
    ben.done("remove", beside)


def test_two_homes_of_one_person_do_not_work_in_one_folder(
    server: RunningServer, study: Path, tmp_path: Path
) -> None:
    second = MbSync(tmp_path / "second home")
    second.login(server.url, "ana", PASSWORD, device_name="second")
    refused(second("add", remote(tmp_path), study), "another client", "ana, on laptop")


def test_what_a_client_that_is_no_more_left_behind_is_taken_over_when_a_person_says_so(
    ana: MbSync, ben: MbSync, study: Path, tmp_path: Path
) -> None:
    shutil.rmtree(ana.home)
    refused(ben("add", "/Home/taken", study, "--create"), "ana, on laptop")
    ben.done("add", "/Home/taken", study, "--create", "--take-over")
    ben.done("once")
    assert names(ben, "/Home/taken") == ["scan.dcm", "series"]
    assert {path: (study / path).read_bytes() for path in FILES} == FILES


def test_a_client_whose_folder_was_taken_over_stops_and_deletes_nothing(
    ana: MbSync, ben: MbSync, study: Path, tmp_path: Path
) -> None:
    ben.done("add", "/Home/over", study.parent, "--create", "--take-over")
    (study / "scan.dcm").unlink()
    ran = ana("once")
    assert (ran.returncode, "lost its marker" in ran.stdout) == (3, True), ran.stdout
    assert "scan.dcm" in names(ana, remote(tmp_path))
    assert ben("once").returncode == 3  # what is left of `.mb-sync` there is named, it holds ana's trash
    assert names(ben, "/Home/over/study") == ["series"]


@pytest.mark.parametrize(
    "how", ["removed", "removed while away", "all records lost", "signed in as a new device"]
)
def test_the_same_client_follows_again_what_it_followed(
    ana: MbSync, study: Path, tmp_path: Path, server: RunningServer, how: str
) -> None:
    away = study.with_name("away")
    match how:
        case "removed":
            ana.done("remove", study)
        case "removed while away":  # so the marker stays
            study.rename(away)
            ana.done("remove", study)
            away.rename(study)
            assert has_marker(study)
        case "all records lost":
            for path in ana.home.glob("state.db*"):
                path.unlink()
            (ana.home / "followed.json").unlink()
        case _:
            words = ("--user", "ana", "--new-device", "--password-stdin")
            ana.done("login", server.url, *words, stdin=PASSWORD + "\n")
            ana.done("once")  # the marker follows
            (ana.home / "followed.json").unlink()
            (ana.home / "state.db").unlink()
    ana.done("add", remote(tmp_path), study)
    assert ana.json("once")["traffic"]["sent_bytes"] < 20_000
    assert {path: (study / path).read_bytes() for path in FILES} == FILES
    assert names(ana, remote(tmp_path)) == ["scan.dcm", "series"]


def test_with_mb_synclight_it_is_the_same_and_no_device_of_the_code_is_used_up(
    ana: MbSync, study: Path, tmp_path: Path
) -> None:
    made = ana.json("code", "create", remote(tmp_path), "--devices", "1")
    light = MbSyncLight(tmp_path / "light")
    refused(
        light("-", study, "--once", stdin=made["link"]),
        "followed already by another client",
        "ana, on laptop",
    )
    assert not light.home.exists() or light.list() == []
    copy = tmp_path / "copy"
    assert light("-", copy, "--once", stdin=made["link"]).returncode == 0
    assert light("-", copy, "--once", stdin=made["link"]).returncode == 0  # its own, again
    refused(ana("add", "/Home/x", copy, "--create"), "whom ana shared it with, on ")

    shutil.rmtree(light.home)
    ana.done("code", "revoke", made["code"])
    again = ana.json("code", "create", remote(tmp_path))
    ran = light("-", copy, "--once", stdin=again["link"])
    refused(ran, "redeem the code again with --take-over")
    assert light("-", copy, "--once", "--take-over", stdin=again["link"]).returncode == 0
    assert {path: (copy / path).read_bytes() for path in FILES} == FILES
    assert sorted(path.name for path in copy.iterdir()) == [".mb-sync", "scan.dcm", "series"]


@pytest.mark.parametrize("marker", [b"{}", b"\x00" * 64, b'{"format": 2}'])
def test_a_marker_that_cannot_be_understood_is_somebodys(ben: MbSync, tmp_path: Path, marker: bytes) -> None:
    (tmp_path / "x" / ".mb-sync").mkdir(parents=True)
    (tmp_path / "x" / ".mb-sync" / "marker.json").write_bytes(marker)
    refused(ben("add", "/Home/x", tmp_path / "x", "--create"), "whose is not known")
    ben.done("add", "/Home/x", tmp_path / "x", "--create", "--take-over")
    ben.done("remove", tmp_path / "x")


def test_another_users_folder_is_refused_though_its_marker_may_not_be_read(
    server: RunningServer, tmp_path: Path
) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can give a folder to somebody else, and only setpriv holds root back")
    mb_sync = MbSync(tmp_path / "home", before=("setpriv", "--bounding-set=-dac_override,-dac_read_search"))
    mb_sync.login(server.url, "ben", PASSWORD)
    private = tmp_path / "shared" / ".mb-sync"
    private.mkdir(parents=True, mode=0o700)
    (private / "marker.json").write_text("{}")
    os.chown(private, 1, 1)
    refused(mb_sync("add", "/Home/s", private.parent, "--create"), "another user of this computer (daemon)")
    refused(mb_sync("add", "/Home/s", private.parent / "in", "--create"), "inside the followed folder")
    (tmp_path / "inside").symlink_to(private.parent)
    inside = MbSync(tmp_path / "inside" / "home", before=mb_sync.before)
    signed_in = inside("login", server.url, "--user", "ben", "--password-stdin", stdin=PASSWORD + "\n")
    refused(signed_in, "inside the followed folder")
