"""Beyond this computer nothing is said that others may read, and nobody is believed who cannot show who they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from protocol.codes import SyncLink, parse_link
from tests.support.codes import CodeMaker
from tests.support.connect_proxy import connect_proxy
from tests.support.light import MbSyncLight, files
from tests.support.mb_sync import MbSync
from tests.support.server import RunningServer, mb_server

PASSWORD = "correct horse battery"
AUTO = ("--tls", "auto", "--tls-names", "files.example.org")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("server") / "data", options=AUTO) as running:
        running.add_user("ada", PASSWORD)
        yield running


@dataclass
class Ada:
    mb_sync: MbSync

    def signs_in(self, url: str, *options: str | Path) -> tuple[int, str]:
        ran = self.mb_sync(
            *("login", url, "--user", "ada", "--password-stdin", "--device-name", "laptop", *options),
            stdin=PASSWORD + "\n",
        )
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def ada(tmp_path: Path) -> Ada:
    return Ada(MbSync(tmp_path / "home"))


def fingerprint(server: RunningServer) -> str:
    shown = mb_server("tls", "--data", server.data)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.strip()


def port(server: RunningServer) -> int:
    return int(server.url.rpartition(":")[2])


def a_hospitals_certificate(folder: Path) -> tuple[str, ...]:
    """The options of a server; ca.pem in `folder` is the authority."""
    hospital = trustme.CA()
    hospital.cert_pem.write_to_path(folder / "ca.pem")
    issued = hospital.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "chain.pem", append=True)
    return ("--tls-certificate", str(folder / "chain.pem"), "--tls-key", str(folder / "key.pem"))


def test_with_the_fingerprint_the_operator_told_a_folder_syncs_over_tls(
    server: RunningServer, ada: Ada, tmp_path: Path
) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    assert ada.signs_in(server.url, "--fingerprint", fingerprint(server))[0] == 0
    folder = tmp_path / "folder"
    ada.mb_sync.done("add", "/Home", folder)
    (folder / "scan.dcm").write_bytes(b"over TLS" * 500)
    assert ada.mb_sync("once").returncode == 0
    assert "scan.dcm" in ada.mb_sync.done("ls", "/Home")
    with ada.mb_sync.running():
        ada.mb_sync.done("wait", "--timeout", "90")
    # signing in again asks for no fingerprint: this computer remembers whom it believes
    assert ada.signs_in(server.url)[0] == 0


def test_a_server_nobody_vouches_for_gets_no_password_and_its_fingerprint_is_shown(
    server: RunningServer, ada: Ada
) -> None:
    code, said = ada.signs_in(server.url)
    assert code == 1
    assert fingerprint(server) in said
    assert "--fingerprint" in said
    assert not (ada.mb_sync.home / "token").exists()


def test_another_fingerprint_than_the_servers_is_refused(server: RunningServer, ada: Ada) -> None:
    code, said = ada.signs_in(server.url, "--fingerprint", "ab" * 32)
    assert code == 1
    assert "another authority" in said
    code, said = ada.signs_in(server.url, "--fingerprint", "not a fingerprint")
    assert code == 1
    assert "no fingerprint" in said


def test_a_changed_authority_is_refused_before_the_token_is_sent(tmp_path: Path, ada: Ada) -> None:
    with RunningServer(tmp_path / "data", options=("--tls", "auto")) as one:
        one.add_user("ada", PASSWORD)
        assert ada.signs_in(one.url, "--fingerprint", fingerprint(one))[0] == 0
        folder = tmp_path / "folder"
        ada.mb_sync.done("add", "/Home", folder)
        one.stop()
        for name in ("authority.pem", "authority.key"):
            (one.data / "keys" / name).unlink()
        one.restart()
        (folder / "new.txt").write_text("not for a stranger")
        ran = ada.mb_sync("once")
        assert ran.returncode == 1
        assert "not of the authority" in ran.stdout + ran.stderr
        assert "401" not in one.log()
        code, said = ada.signs_in(one.url)
        assert code == 1
        assert "set up anew" in said
        assert ada.signs_in(one.url, "--fingerprint", fingerprint(one))[0] == 0
        assert ada.mb_sync("once").returncode == 0


def test_the_roots_of_the_system_are_enough_where_they_know_the_authority(
    server: RunningServer, tmp_path: Path
) -> None:
    authority = str(server.data / "keys" / "authority.pem")
    ada = Ada(MbSync(tmp_path / "home", variables=(("SSL_CERT_FILE", authority),)))
    assert ada.signs_in(server.url)[0] == 0


def test_a_hospitals_own_certificate_is_served_and_believed_through_its_authority(
    tmp_path: Path, ada: Ada
) -> None:
    options = a_hospitals_certificate(tmp_path)
    with RunningServer(tmp_path / "data", options=options) as server:
        server.add_user("ada", PASSWORD)
        code, said = ada.signs_in(server.url)
        assert code == 1
        assert "--ca" in said
        assert ada.signs_in(server.url, "--ca", tmp_path / "ca.pem")[0] == 0
        assert ada.mb_sync("ls", "/").returncode == 0


def test_a_certificate_for_another_name_is_refused(server: RunningServer, tmp_path: Path) -> None:
    with connect_proxy(port(server), "anna:secret") as proxy:
        ada = Ada(MbSync(tmp_path / "home"))
        options = ("--fingerprint", fingerprint(server), "--proxy", proxy.url)
        code, said = ada.signs_in("https://evil.example.org", *options)
        assert code == 1, said
        assert not (ada.mb_sync.home / "token").exists()
        code, said = ada.signs_in("https://files.example.org", *options)
        assert code == 0, said


def test_an_authenticating_proxy_is_the_way_to_everything(server: RunningServer, tmp_path: Path) -> None:
    with connect_proxy(port(server), "anna:secret") as proxy:
        ada = Ada(MbSync(tmp_path / "home", variables=(("HTTPS_PROXY", proxy.url),)))
        url = "https://files.example.org"
        assert ada.signs_in(url, "--fingerprint", fingerprint(server))[0] == 0
        folder = tmp_path / "folder"
        ada.mb_sync.done("add", "/Home/Proxied", folder, "--create")
        (folder / "a.txt").write_text("by way of the proxy")
        assert ada.mb_sync("once").returncode == 0
        assert proxy.asked
        assert {line.split()[1] for line in proxy.asked} == {"files.example.org:443"}
        refused = Ada(MbSync(tmp_path / "other", variables=(("HTTPS_PROXY", proxy.address),)))
        code, said = refused.signs_in(url, "--fingerprint", fingerprint(server))
        assert code == 1
        assert "proxy" in said
        assert "407" in said
    assert "secret" not in (tmp_path / "home" / "config.toml").read_text()


def test_the_server_listens_beyond_this_computer_with_tls(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.stop()
        server.url, server.options = "https://0.0.0.0:0", ("--tls", "auto")
        server.start()
        with socket.create_connection(("127.0.0.1", port(server))) as plain:
            plain.sendall(b"GET /api/v1/hello HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"medical-blocks" not in plain.recv(4096)  # no word in the clear


def test_settings_that_do_not_go_together_stop_the_start(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        server.stop()
    both = ("--tls", "auto", "--tls-certificate", "x.pem", "--tls-key", "y.pem")
    for options, words in (
        (("--tls-certificate", "x.pem"), "go together"),
        (both, "Choose one"),
        (("--tls-certificate", "x.pem", "--tls-key", "y.pem"), "cannot be used"),
        (("--listen", "0.0.0.0:0"), "--tls auto"),
    ):
        ran = mb_server("serve", "--data", tmp_path / "data", *options)
        assert ran.returncode == 1, ran.stderr
        assert words in ran.stderr


# ---- somebody outside, with a code ---------------------------------------------------------------------------


def shares(ada: Ada, folder: Path) -> SyncLink:
    """The link to a folder of hers with one file in it."""
    ada.mb_sync.done("add", "/Home/Study", folder, "--create")
    (folder / "scan.dcm").write_bytes(b"by a code" * 500)
    assert ada.mb_sync("once").returncode == 0
    return parse_link(CodeMaker(ada).make("/Home/Study").link)


def test_a_code_is_followed_by_way_of_the_proxy_that_was_named_once(
    server: RunningServer, ada: Ada, tmp_path: Path
) -> None:
    assert ada.signs_in(server.url, "--fingerprint", fingerprint(server))[0] == 0
    link = shares(ada, tmp_path / "hers")
    outside = SyncLink("https://files.example.org", link.secret, link.fingerprint)
    jo, here = MbSyncLight(tmp_path / "jo"), tmp_path / "here"
    with connect_proxy(port(server), "anna:secret") as proxy:
        refused = jo("-", here, "--once", "--proxy", proxy.address, stdin=outside.text)
        assert refused.returncode == 1
        assert "407" in refused.stderr
        first = jo("-", here, "--once", "--proxy", proxy.url, stdin=outside.text)
        assert first.returncode == 0, first.stderr
        assert files(here) == files(tmp_path / "hers")
        (tmp_path / "hers" / "new.txt").write_text("later")
        assert ada.mb_sync("once").returncode == 0
        assert jo("--once").returncode == 0
        assert files(here) == files(tmp_path / "hers")
        assert {line.split()[1] for line in proxy.asked} == {"files.example.org:443"}
    for kept in (tmp_path / "jo").rglob("*"):
        if kept.is_file() and b"anna:secret" in kept.read_bytes():
            assert kept.stat().st_mode & 0o077 == 0, kept


def test_a_code_of_a_server_with_the_hospitals_certificate_opens_with_its_authority(
    tmp_path: Path, ada: Ada
) -> None:
    options = a_hospitals_certificate(tmp_path)
    with RunningServer(tmp_path / "data", options=options) as server:
        server.add_user("ada", PASSWORD)
        assert ada.signs_in(server.url, "--ca", tmp_path / "ca.pem")[0] == 0
        link = shares(ada, tmp_path / "hers")
        jo, here = MbSyncLight(tmp_path / "jo"), tmp_path / "here"
        stranger = jo("-", here, "--once", stdin=link.text)
        assert stranger.returncode == 1
        assert "--ca" in stranger.stderr
        known = jo("-", here, "--once", "--ca", tmp_path / "ca.pem", stdin=link.text)
        assert known.returncode == 0, known.stderr
        assert jo("--once").returncode == 0
        assert files(here) == files(tmp_path / "hers")
