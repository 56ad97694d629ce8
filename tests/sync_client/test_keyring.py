"""Where the token of this computer is kept: a real keyring, a file where there is none, a file that was given."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_client import token_keeping
from sync_client.token_keeping import checked_token, is_believed
from tests.support.forks import environment
from tests.support.keyring import Session, a_keyring
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD, RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data") as running:
        running.add_user("ana")
        running.add_user("ben")
        yield running


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with a_keyring(tmp_path_factory.mktemp("session")) as running:
        yield running


def login(mb_sync: MbSync, server: RunningServer, *more: str) -> subprocess.CompletedProcess[str]:
    ran = mb_sync("login", server.url, "--user", "ana", "--password-stdin", *more, stdin=PASSWORD + "\n")
    assert ran.returncode == 0, ran.stderr
    return ran


def kept(mb_sync: MbSync) -> str:
    account = tomllib.loads((mb_sync.home / "config.toml").read_text())["account"]
    return str(account.get("token"))


def the_token(session: Session, home: Path) -> str | None:
    """What the keyring holds for this home, as a program of the session reads it."""
    device = tomllib.loads((home / "config.toml").read_text())["device"]
    script = "import keyring, sys; print(keyring.get_password('mb-sync', sys.argv[1]))"
    ran = subprocess.run(
        [sys.executable, "-c", script, device],
        env=environment() | dict(session.variables),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said = ran.stdout.strip()
    return None if said == "None" else said


def test_a_desktop_keeps_the_token_in_its_keyring_and_syncs_with_it(
    server: RunningServer, session: Session, tmp_path: Path
) -> None:
    mb_sync = MbSync(tmp_path / "home", variables=session.variables)
    ran = login(mb_sync, server)
    assert ran.stderr == ""  # nothing to be told
    token = the_token(session, mb_sync.home)
    assert token
    assert not (mb_sync.home / "token").exists()
    assert all(token.encode() not in path.read_bytes() for path in mb_sync.home.rglob("*") if path.is_file())
    assert token.encode() not in session.held()  # it is encrypted there
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "a.txt").write_text("a")
    with mb_sync.running():
        mb_sync.done("add", "/Home/keyring", tmp_path / "study", "--create")
        mb_sync.done("wait", "--timeout", "90")
    found = {one["check"]: one for one in json.loads(mb_sync("doctor", "--json").stdout)["checks"]}
    assert "system's keyring" in found["token"]["message"]

    # a session without it says so in a sentence, and is not taken for one that is signed out
    elsewhere = MbSync(mb_sync.home)
    ran = elsewhere("once")
    assert ran.returncode == 1
    assert "lies in the system's keyring, which cannot be read here" in ran.stderr
    assert elsewhere.json("status")["user"] == "ana"

    device = tomllib.loads((mb_sync.home / "config.toml").read_text())["device"]
    mb_sync.done("logout")
    (mb_sync.home / "config.toml").write_text(f'device = "{device}"\n')
    assert the_token(session, mb_sync.home) is None


def test_without_a_keyring_the_token_is_a_file_and_that_is_said_aloud(
    server: RunningServer, session: Session, tmp_path: Path
) -> None:
    nowhere = MbSync(tmp_path / "nowhere")
    said = login(nowhere, server).stderr
    assert "kept in a file that only you may read (no keyring of this system answers)" in said
    unwanted = MbSync(tmp_path / "unwanted", variables=session.variables)
    assert (
        "kept in a file that only you may read (as you asked)"
        in login(unwanted, server, "--no-keyring").stderr
    )
    for mb_sync in (nowhere, unwanted):
        assert kept(mb_sync) == "file"
        assert stat.S_IMODE((mb_sync.home / "token").stat().st_mode) == 0o600
    found = {one["check"]: one for one in json.loads(unwanted("doctor", "--json").stdout)["checks"]}
    assert (found["token"]["result"], "sign in again" in found["token"]["hint"]) == ("warning", True)
    login(unwanted, server)
    assert kept(unwanted) == "keyring"
    assert not (unwanted.home / "token").exists()


def test_the_token_of_an_older_client_moves_into_the_keyring_when_it_starts(
    server: RunningServer, session: Session, tmp_path: Path
) -> None:
    login(MbSync(tmp_path / "home"), server)
    config = tmp_path / "home" / "config.toml"
    config.write_text(re.sub(r'^token = "file"\n', "", config.read_text(), flags=re.MULTILINE))
    token = (tmp_path / "home" / "token").read_text().strip()
    with MbSync(tmp_path / "home").running():  # not of a desktop's session: all stays as it was
        MbSync(tmp_path / "home").done("wait", "--timeout", "90")
    assert (tmp_path / "home" / "token").exists()
    mb_sync = MbSync(tmp_path / "home", variables=session.variables)
    with mb_sync.running():
        mb_sync.done("wait", "--timeout", "90")
    assert kept(mb_sync) == "keyring"
    assert the_token(session, mb_sync.home) == token
    assert not (mb_sync.home / "token").exists()


def test_a_batch_job_signs_in_with_a_token_out_of_a_file(server: RunningServer, tmp_path: Path) -> None:
    login(MbSync(tmp_path / "first"), server, "--device-name", "cluster")
    secret = tmp_path / "secret"
    secret.write_text((tmp_path / "first" / "token").read_text())
    job = MbSync(tmp_path / "scratch" / "home")
    secret.chmod(0o640)
    assert (
        f"Others on this computer may use {secret}" in job("login", server.url, "--token-file", secret).stderr
    )
    secret.chmod(0o600)
    ran = job("login", server.url, "--token-file", secret, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    told = json.loads(ran.stdout)
    assert (told["user"], told["device_name"], told["token"]) == ("ana", "cluster", "given")
    assert list((tmp_path / "scratch" / "home").glob("token")) == []
    job.done("add", "/Home/job", tmp_path / "data", "--create")
    (tmp_path / "data" / "result.txt").write_text("42")
    job.done("once")
    assert "result.txt" in job.done("ls", "/Home/job")

    # it may lie elsewhere for one run: the environment comes first
    moved = tmp_path / "moved"
    secret.rename(moved)
    ran = job("once")
    assert (ran.returncode, f"The token file {secret} cannot be read" in ran.stderr) == (1, True)
    with_variable = MbSync(job.home, variables=(("MB_SYNC_TOKEN_FILE", str(moved)),))
    with_variable.done("once")
    assert "is not ours to delete" in with_variable("logout").stderr
    assert moved.exists()
    assert MbSync(job.home).json("status")["user"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There is no token in"),
        ("two words", "There is no token in"),
        ("a" * 43, "opens nothing on"),
    ],
)
def test_a_file_without_a_good_token_signs_nobody_in(
    server: RunningServer, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "secret").write_text(text)
    mb_sync = MbSync(tmp_path / "home")
    ran = mb_sync("login", server.url, "--token-file", tmp_path / "secret")
    assert (ran.returncode, words in ran.stderr, "Traceback" in ran.stderr) == (1, True, False)
    assert mb_sync.json("status")["user"] is None


def test_a_token_of_somebody_else_signs_nobody_in(server: RunningServer, tmp_path: Path) -> None:
    login(MbSync(tmp_path / "first"), server)
    ran = MbSync(tmp_path / "home")(
        "login", server.url, "--user", "ben", "--token-file", tmp_path / "first" / "token"
    )
    assert (ran.returncode, "is of ana" in ran.stderr) == (1, True)
    assert MbSync(tmp_path / "home")("login", server.url).returncode == 2
    assert (
        MbSync(tmp_path / "home")("login", server.url, "--token-file", "x", "--password-stdin").returncode
        == 2
    )


def test_only_keyrings_that_keep_a_secret_are_believed() -> None:
    assert is_believed("keyring.backends.SecretService")
    assert is_believed("keyring.backends.macOS")
    for other in (
        "keyrings.alt.file",
        "keyring.backends.fail",
        "keyring.backends.null",
        "evil.backends.Windows",
    ):
        assert not is_believed(other)


def test_a_keyring_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_keeping, "KEYRING_SECONDS", 0.2)
    read, write = os.pipe()
    try:
        with pytest.raises(token_keeping.KeyringUnreachable, match="no answer within"):
            token_keeping._or_say(lambda: os.read(read, 1))
        assert token_keeping._in_time(lambda: 1 / 0, otherwise=7) == 7
    finally:
        os.close(write)


@pytest.mark.parametrize("text", [b"", b" \n", b"a b", b"\xff", b"x" * 2_000, b"a\nb", b"t\xc3\xb6ken"])
def test_what_can_be_no_token_is_none(text: bytes) -> None:
    assert checked_token(text) is None
    assert checked_token(b"mbt_Ab-9~+/=.\n") == "mbt_Ab-9~+/=."
