"""Redeeming a code: what may stand between a person and the folder, and how each of it is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.codes import CodeMaker
from tests.support.computers import Computer
from tests.support.light import MbSyncLight, files, until
from tests.support.server import PASSWORD, RunningServer, mb_server

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One with an authority of its own, which no computer knows by itself."""
    with RunningServer(tmp_path_factory.mktemp("server") / "data", options=("--tls", "auto")) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def codes(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> CodeMaker:
    ada = Computer(tmp_path_factory.mktemp("ada"), "ada")
    told = mb_server("tls", "--data", server.data).stdout.strip()
    ada.mb_sync.done(
        *("login", server.url, "--user", "ada", "--password-stdin", "--fingerprint", told), stdin=PASSWORD
    )
    ada.follow("/Home")
    ada.write("Study/scan.dcm", b"scan")
    ada.once()
    return CodeMaker(ada)


@pytest.fixture
def light(tmp_path: Path) -> MbSyncLight:
    return MbSyncLight(tmp_path / "light")


def test_the_link_names_the_authority_to_believe_and_another_gets_no_code(
    codes: CodeMaker, light: MbSyncLight, tmp_path: Path
) -> None:
    code = codes.make("/Home/Study")
    link, _, fingerprint = code.link.rpartition(".")
    assert len(fingerprint) == 64
    other = light("-", tmp_path / "folder", "--once", stdin=f"{link}.{'ab' * 32}")
    assert (other.returncode, "another authority" in other.stderr) == (1, True)
    bare = light("-", tmp_path / "folder", "--once", stdin=link)
    assert (bare.returncode, "whole link" in bare.stderr) == (1, True)
    assert codes.listed(code).devices == []
    assert light("-", tmp_path / "folder", "--once", stdin=code.link).returncode == 0
    assert files(tmp_path / "folder") == {"scan.dcm": b"scan"}
    assert light("--once").returncode == 0  # it remembers whom it believes
    assert light("verify", tmp_path / "folder").returncode == 0


def test_a_computer_waits_until_it_is_let_in(codes: CodeMaker, light: MbSyncLight, tmp_path: Path) -> None:
    code = codes.make("/Home/Study", approve=True)
    with light.running("-", tmp_path / "folder", "--once", stdin=code.link) as running:
        until(lambda: "has to let this computer in" in running.said(), "it says that it waits")
        assert not (tmp_path / "folder").exists()
        codes.let_in(code)
        assert running.ended() == 0
    assert files(tmp_path / "folder") == {"scan.dcm": b"scan"}


def test_a_pin_comes_from_a_file_and_a_wrong_one_is_said(
    codes: CodeMaker, light: MbSyncLight, tmp_path: Path
) -> None:
    code = codes.make("/Home/Study", pin=True)
    (tmp_path / "pin").write_text("000000" if code.pin != "000000" else "111111")
    for how in ([], ["--pin", f"@{tmp_path / 'pin'}"]):
        ran = light("-", tmp_path / "folder", "--once", *how, stdin=code.link)
        assert (ran.returncode, "PIN" in ran.stderr) == (1, True)
    (tmp_path / "pin").write_text(code.pin + "\n")
    ran = light("-", tmp_path / "folder", "--once", "--pin", f"@{tmp_path / 'pin'}", stdin=code.link)
    assert ran.returncode == 0, ran.stderr


def test_used_up_expired_and_unknown_are_each_said_in_their_own_words(
    codes: CodeMaker, light: MbSyncLight, tmp_path: Path
) -> None:
    one = codes.make("/Home/Study", devices=1)
    short = codes.make("/Home/Study", seconds=1)
    expires = time.monotonic() + 1.2
    assert light("-", tmp_path / "folder", "--once", stdin=one.link).returncode == 0
    assert light("-", tmp_path / "folder", "--once", stdin=one.link).returncode == 0  # counts once
    second = MbSyncLight(tmp_path / "second")
    said = {"used up": second("-", tmp_path / "other", stdin=one.link).stderr}
    time.sleep(max(0.0, expires - time.monotonic()))
    said["expired"] = second("-", tmp_path / "other", stdin=short.link).stderr
    codes.revoke(one)
    said["revoked"] = second("-", tmp_path / "other", stdin=one.link).stderr
    assert "expired" in said["expired"]
    assert "revoked" in said["revoked"]
    assert len(set(said.values())) == 3
    assert all(words.startswith("mb-synclight: ") for words in said.values())
    assert not (tmp_path / "other").exists()
    ended = light("--once")
    assert (ended.returncode, "was revoked" in ended.stderr) == (1, True)
    renewed = light("-", tmp_path / "folder", "--once", stdin=codes.make("/Home/Study").link)
    assert renewed.returncode == 0, renewed.stderr  # a new code for the same folder: it goes on where it was
    assert [one["state"] for one in light.list()] == ["synced"]
    assert files(tmp_path / "folder") == {"scan.dcm": b"scan"}
