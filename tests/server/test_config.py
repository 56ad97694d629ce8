from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import LocalProblem
from server.config import FIRST_SETTINGS, Settings, listen_address, load_settings


def test_a_flag_beats_the_environment_which_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('listen = "127.0.0.1:1"\nlog_level = "error"\nshutdown_seconds = 1')
    settings = load_settings(
        tmp_path,
        environment={"MB_SERVER_LISTEN": "127.0.0.1:2", "MB_SERVER_LOG_LEVEL": "debug"},
        flags={"listen": "127.0.0.1:3", "log_level": None},
    )
    assert settings == Settings(listen="127.0.0.1:3", log_level="debug", shutdown_seconds=1.0)


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environment={}, flags={}) == Settings()


def test_the_first_settings_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text(FIRST_SETTINGS)
    assert load_settings(tmp_path, environment={}, flags={}) == Settings()


def test_all_unknown_settings_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("lisen = 1\nport = 2\n")
    with pytest.raises(LocalProblem, match="lisen, port"):
        load_settings(tmp_path, environment={}, flags={})


def test_names_that_an_orchestrator_sets_do_no_harm(tmp_path: Path) -> None:
    environment = {"MB_SERVER_PORT": "tcp://10.0.0.1:80", "MB_SERVER_DATA": "/data", "HOME": "/"}
    assert load_settings(tmp_path, environment=environment, flags={}) == Settings()


@pytest.mark.parametrize(
    "text", ["log_level = 'loud'", "behind_proxy = 'maybe'", "listen = 5", "no = ", "\xff"]
)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(LocalProblem):
        load_settings(tmp_path, environment={}, flags={})


@pytest.mark.parametrize(
    "listen", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", ":80", "١:١"]
)
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(LocalProblem, match="no address"):
        listen_address(Settings(listen=listen))


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "192.168.1.5:80", "[::]:80", "server.example:80"])
def test_beyond_this_computer_only_behind_a_proxy(listen: str) -> None:
    with pytest.raises(LocalProblem, match="in the clear"):
        listen_address(Settings(listen=listen))
    assert listen_address(Settings(listen=listen, behind_proxy=True))[1] == 80


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "127.9.9.9:0"])
def test_this_computer_needs_no_proxy(listen: str) -> None:
    assert listen_address(Settings(listen=listen))[1] == 0
