"""The client home: private, whole, and used by one process at a time."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import platformdirs
import pytest

from protocol.errors import LocalProblem
from protocol.ids import DeviceId
from sync_client.engine.account import Account
from sync_client.home import (
    ClientHome,
    NotSignedInHere,
    find_home,
    forget_account,
    read_account,
    read_identity,
    save_account,
)
from sync_client.lock import HomeInUse, is_held, only_one


def an_account() -> Account:
    return Account("http://127.0.0.1:1", "ana", "secret-token", DeviceId(uuid4()), "laptop")


@pytest.fixture
def home(tmp_path: Path) -> ClientHome:
    home = ClientHome(tmp_path / "home")
    home.make()
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_account_comes_back_as_it_was_saved(home: ClientHome) -> None:
    account = an_account()
    save_account(home, account)
    assert read_account(home) == account


def test_nobody_else_may_read_the_home(home: ClientHome) -> None:
    save_account(home, an_account())
    assert (mode(home.path), mode(home.log), mode(home.token), mode(home.config)) == (
        0o700,
        0o700,
        0o600,
        0o600,
    )


def test_the_token_stands_in_its_own_file_and_in_no_text_of_the_account(home: ClientHome) -> None:
    save_account(home, an_account())
    assert "secret-token" not in home.config.read_text()
    assert "secret-token" not in repr(read_account(home))


def test_signing_in_keeps_what_a_person_wrote_into_the_config(home: ClientHome) -> None:
    home.config.write_text("# mine\nnote = 'keep'\n")
    save_account(home, an_account())
    forget_account(home)
    assert "# mine\nnote = 'keep'" in home.config.read_text()


def test_after_signing_out_nobody_is_signed_in(home: ClientHome) -> None:
    save_account(home, an_account())
    forget_account(home)
    assert not home.token.exists()
    assert read_identity(home).user is None
    with pytest.raises(NotSignedInHere, match="mb-sync login"):
        read_account(home)


def test_a_config_that_is_no_toml_is_named_in_a_sentence(home: ClientHome) -> None:
    home.config.write_text("server = ")
    with pytest.raises(LocalProblem, match=r"config\.toml cannot be read"):
        read_identity(home)


def test_a_home_inside_a_followed_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".mb-sync").mkdir()
    (tmp_path / ".mb-sync" / "marker.json").write_text("{}")
    with pytest.raises(LocalProblem, match="lies inside the followed folder"):
        ClientHome(tmp_path / "a" / "home").make()
    assert not (tmp_path / "a").exists()


def test_the_asked_home_comes_before_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MB_SYNC_HOME", str(tmp_path / "environment"))
    assert find_home(None).path == tmp_path / "environment"
    assert find_home(str(tmp_path / "asked")).path == tmp_path / "asked"


@pytest.mark.parametrize("data", [None, "", "/elsewhere/data"])
def test_the_usual_place_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch, data: str | None) -> None:
    monkeypatch.delenv("MB_SYNC_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    if data is not None:
        monkeypatch.setenv("XDG_DATA_HOME", data)
    assert find_home(None).path == platformdirs.user_data_path("mb-sync", appauthor=False)


def test_a_second_process_is_refused_and_told_which_one_holds_the_home(home: ClientHome) -> None:
    script = """
import pathlib, sys
from sync_client.lock import only_one
with only_one(pathlib.Path(sys.argv[1])):
    print("mine", flush=True)
    input()
"""
    command = [sys.executable, "-c", script, str(home.lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert is_held(home.lock)
        with pytest.raises(HomeInUse, match=f"process {other.pid}"), only_one(home.lock):
            pass
        other.kill()  # the system gives the lock back, however a process ends
        other.wait()
    with only_one(home.lock):
        assert is_held(home.lock)
    assert not is_held(home.lock)
