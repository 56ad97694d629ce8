"""What a person may get wrong: one clear sentence, the right exit code, and nothing changed.

The real `mb-sync` against a real `mb-server`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from protocol.http import ServerApi
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user("ana")
        running.add_user("ben")
        yield running


@pytest.fixture
def nobody(tmp_path: Path) -> MbSync:
    """A client home in which nobody is signed in."""
    return MbSync(tmp_path / "home")


@pytest.fixture
def ana(server: RunningServer, nobody: MbSync) -> MbSync:
    nobody.login(server.url, "ana", PASSWORD)
    return nobody


def refused(ran: subprocess.CompletedProcess[str], *words: str, code: int = 1) -> None:
    """It said one sentence (and what to do) on standard error, with these words in it, and nothing else."""
    assert (ran.returncode, ran.stdout) == (code, ""), ran.stderr
    said = ran.stderr.strip()
    assert said.startswith("mb-sync: ")
    assert "\n" not in said, said
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


def nobody_signed_in(mb_sync: MbSync) -> None:
    assert mb_sync.json("status")["user"] is None
    assert not (mb_sync.home / "token").exists()


def nothing_followed(mb_sync: MbSync) -> None:
    assert mb_sync.json("once")["folders"] == []


# ---- signing in ------------------------------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(
    server: RunningServer, nobody: MbSync
) -> None:
    wrong = nobody("login", server.url, "--user", "ana", "--password-stdin", stdin="wrong password\n")
    unknown = nobody("login", server.url, "--user", "zoe", "--password-stdin", stdin="wrong password\n")
    refused(wrong)
    assert (unknown.returncode, unknown.stderr) == (wrong.returncode, wrong.stderr)
    nobody_signed_in(nobody)


def test_an_empty_password(server: RunningServer, nobody: MbSync) -> None:
    refused(nobody("login", server.url, "--user", "ana", "--password-stdin", stdin=""), "password is empty")
    nobody_signed_in(nobody)


def test_no_terminal_to_ask_for_the_password(server: RunningServer, nobody: MbSync) -> None:
    ran = nobody("login", server.url, "--user", "ana", stdin=PASSWORD)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--password-stdin" in ran.stderr


def test_an_unreachable_server(nobody: MbSync) -> None:
    ran = nobody("login", "http://127.0.0.1:1", "--user", "ana", "--password-stdin", stdin=PASSWORD)
    refused(ran, "http://127.0.0.1:1", "cannot be reached")
    nobody_signed_in(nobody)


@pytest.mark.parametrize("url", ["files.example.org", "ftp://x", "http://", "http://127.0.0.1:port", ""])
def test_what_is_no_address(nobody: MbSync, url: str) -> None:
    ran = nobody("login", url, "--user", "ana", "--password-stdin", stdin=PASSWORD)
    refused(ran, "is not the address of a server")


def test_no_password_crosses_a_network_in_the_clear(nobody: MbSync) -> None:
    ran = nobody("login", "http://files.example.org", "--user", "ana", "--password-stdin", stdin=PASSWORD)
    refused(ran, "https://")


class SomeWebSite(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Welcome</h1>")

    def log_message(self, *_: object) -> None:
        pass


def test_the_server_of_somebody_else(nobody: MbSync) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SomeWebSite) as site:
        Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{site.server_port}"
        ran = nobody("login", url, "--user", "ana", "--password-stdin", stdin=PASSWORD)
        site.shutdown()
    refused(ran, url)
    nobody_signed_in(nobody)


def test_a_second_account_in_one_home(server: RunningServer, ana: MbSync) -> None:
    ran = ana("login", server.url, "--user", "ben", "--password-stdin", stdin=PASSWORD)
    refused(ran, "ana is signed in", "mb-sync logout")
    assert ana.json("status")["user"] == "ana"


def test_a_home_inside_a_followed_folder(server: RunningServer, ana: MbSync, tmp_path: Path) -> None:
    ana.done("add", "/Home", tmp_path / "study")
    inside = MbSync(tmp_path / "study" / "home")
    ran = inside("login", server.url, "--user", "ana", "--password-stdin", stdin=PASSWORD)
    refused(ran, "inside the followed folder")
    assert not inside.home.exists()


@pytest.mark.parametrize(
    "command", ["start", "run", "once", "logout", "ls /Home", "add /Home x", "revs x", "trash"]
)
def test_nobody_is_signed_in(nobody: MbSync, command: str) -> None:
    refused(nobody(*command.split()), "Nobody is signed in", "mb-sync login")
    assert not nobody.home.exists()


# ---- folders ---------------------------------------------------------------------------------------------


def test_what_is_no_remote_folder(ana: MbSync, tmp_path: Path) -> None:
    for remote in ("Home", "/Projects", "/Home/../x"):
        refused(ana("add", remote, tmp_path / "study"), "is not a remote folder")
        refused(ana("ls", remote), "is not a remote folder")
    assert not (tmp_path / "study").exists()


def test_a_remote_folder_that_is_not_there(ana: MbSync, tmp_path: Path) -> None:
    for remote in ("/Home/missing", "/Projects/missing", "/Shared/missing"):
        refused(ana("add", remote, tmp_path / "study"), remote)
        refused(ana("ls", remote))
    assert not (tmp_path / "study").exists()
    nothing_followed(ana)


def test_a_file_where_the_folder_should_be(ana: MbSync, tmp_path: Path) -> None:
    (tmp_path / "study").write_text("mine")
    refused(ana("add", "/Home", tmp_path / "study"), "is a file")
    refused(ana("add", "/Home", tmp_path / "study" / "inside"), "is a file")
    assert (tmp_path / "study").read_text() == "mine"
    nothing_followed(ana)


@pytest.mark.parametrize("folder", ["/proc/self", "/proc"])  # where not even root may write
def test_a_folder_that_cannot_be_written(ana: MbSync, folder: str) -> None:
    refused(ana("add", "/Home", f"{folder}/study"), "/proc")
    nothing_followed(ana)


@pytest.mark.parametrize("running", [False, True], ids=["alone", "beside the running client"])
def test_a_folder_inside_or_around_a_followed_one(ana: MbSync, tmp_path: Path, running: bool) -> None:
    if running:
        ana.done("start")
    (tmp_path / "data" / "study" / "inside").mkdir(parents=True)
    ana.done("add", "/Home", tmp_path / "data" / "study")
    refused(ana("add", "/Home", tmp_path / "data" / "study" / "inside"), "inside the followed folder")
    refused(ana("add", "/Home", tmp_path / "data"), "contains the followed folder")
    refused(ana("add", "/Home", tmp_path / "data" / "study"), "followed already")
    refused(ana("remove", tmp_path / "data"))
    assert not (tmp_path / "data" / ".mb-sync").exists()
    ana.done("start")
    assert [folder["local"] for folder in ana.json("status")["folders"]] == [str(tmp_path / "data" / "study")]
    ana.done("stop")


def test_a_folder_inside_one_that_another_home_follows(
    server: RunningServer, ana: MbSync, tmp_path: Path
) -> None:
    ana.done("add", "/Home", tmp_path / "study")
    ben = MbSync(tmp_path / "home of ben")
    ben.login(server.url, "ben", PASSWORD)
    refused(ben("add", "/Home", tmp_path / "study" / "inside"), "inside the followed folder")


def test_a_missing_root_marker_stops_that_folder_and_deletes_nothing(
    ana: MbSync, tmp_path: Path, server: RunningServer
) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "scan.dcm").write_bytes(b"DICM")
    ana.done("add", "/Home/marked", study, "--create")
    ana.done("once")
    (study / "scan.dcm").unlink()
    (study / ".mb-sync" / "marker.json").unlink()  # as if another disk were mounted there
    assert ana("once").returncode in (1, 3)
    with ana.running():
        assert ana("wait", "--timeout", "90").returncode == 3
        status = ana.json("status")
        assert status["state"] in ("attention", "error")
        assert status["folders"][0]["state"] in ("attention", "error")
        assert str(study) in ana.done("status")
    assert [path for *_, path in server.manifest() if path.endswith("/scan.dcm")] != []


def test_one_folder_that_is_away_does_not_hold_up_another(ana: MbSync, tmp_path: Path) -> None:
    for name in ("first", "second"):
        ana.done("add", f"/Home/{name}", tmp_path / name, "--create")
    ana.done("once")
    (tmp_path / "first" / ".mb-sync" / "marker.json").unlink()
    (tmp_path / "second" / "scan.dcm").write_bytes(b"DICM")
    ran = ana("once")
    assert (ran.returncode, "lost its marker" in ran.stdout) == (3, True), ran.stdout
    assert [item["name"] for item in ana.json("ls", "/Home/second")] == ["scan.dcm"]


# ---- running ---------------------------------------------------------------------------------------------


def test_two_clients_on_one_home(ana: MbSync) -> None:
    with ana.running():
        pid = ana.json("status")["pid"]
        refused(ana("run"), "already at work", str(pid))
        refused(ana("once"), "already at work", str(pid))
        assert ana.json("start") == {"pid": pid, "started": False}
    assert ana.json("stop") == {"pid": None, "stopped": False}


async def _revoke(server: RunningServer, mb_sync: MbSync) -> None:
    """End its token on the server, as whoever looks after one's devices does."""
    async with ServerApi(server.url, (mb_sync.home / "token").read_text().strip()) as api:
        await api.logout()


def test_a_revoked_token_is_told_by_status_and_cured_by_signing_in(
    ana: MbSync, server: RunningServer, tmp_path: Path
) -> None:
    ana.done("add", "/Home/revoked", tmp_path / "study", "--create")
    asyncio.run(_revoke(server, ana))
    refused(ana("ls", "/Home"), "has ended", "mb-sync login")
    assert ana("once").returncode in (1, 3)
    ana.done("start")
    try:
        ran = ana("wait", "--timeout", "90")
        assert ran.returncode in (1, 3), ran.stdout + ran.stderr
        status = ana.json("status")
        assert status["state"] in ("attention", "error")
        assert "mb-sync login" in status["words"]
        ana.login(server.url, "ana", PASSWORD)
        ana.done("wait", "--timeout", "90")
        ana.comes_to("synced")
        asyncio.run(_revoke(server, ana))  # while it runs
        (tmp_path / "study" / "scan.dcm").write_bytes(b"DICM")
        assert ana("wait", "--timeout", "90").returncode in (1, 3)
        assert "mb-sync login" in ana.json("status")["words"]
        ana.login(server.url, "ana", PASSWORD)
        ana.done("wait", "--timeout", "90")
        assert [item["name"] for item in ana.json("ls", "/Home/revoked")] == ["scan.dcm"]
    finally:
        ana.done("stop")


def test_an_unknown_conflict_version_or_trash_item(ana: MbSync, tmp_path: Path) -> None:
    ana.done("add", "/Home", tmp_path / "study")
    refused(ana("conflicts", "resolve", "99", "--keep", "mine"))
    refused(ana("revs", tmp_path / "study" / "missing"))
    refused(ana("restore", tmp_path / "study" / "missing", "--rev", "1.1"))
    refused(ana("trash", "restore", "99"))


def test_a_path_that_is_not_followed(ana: MbSync, tmp_path: Path) -> None:
    with ana.running():
        assert ana.json("filestatus", tmp_path)[0]["state"] == "unknown"
    refused(ana("revs", tmp_path / "x"))
    refused(ana("remove", tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="a name that is not text is possible on POSIX alone")
def test_a_name_that_is_not_text_on_the_command_line(ana: MbSync, tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")
    ran = ana("filestatus", strange)
    assert (ran.returncode, "Traceback" in ran.stderr) == (5, False)
