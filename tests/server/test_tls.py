"""The certificate that the server shows: made, kept, renewed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from protocol.errors import LocalProblem
from server.tls import CERTIFICATE_DAYS, Tls, automatic, create_authority, given, usual_names

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMES = ["data.example.org", "192.0.2.7", "::1"]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o700)
    create_authority(folder, now=NOW)
    return folder


def shown(keys: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((keys / "tls.pem").read_bytes())


def test_it_is_for_the_names_that_were_asked_for(keys: Path) -> None:
    tls = automatic(keys, NAMES, now=NOW)
    assert tls.names == ("data.example.org", "192.0.2.7", "::1")
    assert tls.authority == (keys / "authority.pem").read_text()
    assert tls.ends_at == NOW + timedelta(days=CERTIFICATE_DAYS)
    shown(keys).verify_directly_issued_by(x509.load_pem_x509_certificate(tls.authority.encode()))


def test_keys_are_for_the_servers_user_alone(keys: Path) -> None:
    automatic(keys, NAMES, now=NOW)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in keys.iterdir()} == dict.fromkeys(
        ("authority.key", "authority.pem", "tls.key", "tls.pem"), "0o600"
    )


def test_the_same_one_is_shown_until_it_nears_its_end(keys: Path) -> None:
    automatic(keys, NAMES, now=NOW)
    first = shown(keys).serial_number
    automatic(keys, reversed(NAMES), now=NOW + timedelta(days=300))
    assert shown(keys).serial_number == first
    tls = automatic(keys, NAMES, now=NOW + timedelta(days=350))
    assert shown(keys).serial_number != first
    assert tls.ends_at > NOW + timedelta(days=700)


def test_a_new_name_and_a_new_authority_bring_a_new_one(keys: Path) -> None:
    automatic(keys, NAMES, now=NOW)
    first = shown(keys).serial_number
    automatic(keys, [*NAMES, "other.example.org"], now=NOW)
    second = shown(keys).serial_number
    assert first != second
    for name in ("authority.key", "authority.pem"):
        (keys / name).unlink()
    automatic(keys, [*NAMES, "other.example.org"], now=NOW)
    assert shown(keys).serial_number != second


def test_a_running_server_takes_up_the_renewed_one(keys: Path) -> None:
    tls = automatic(keys, NAMES, now=NOW)
    tls.refresh(NOW + timedelta(days=1))
    assert tls.ends_at == NOW + timedelta(days=CERTIFICATE_DAYS)
    tls.refresh(NOW + timedelta(days=380))
    assert tls.ends_at == NOW + timedelta(days=380 + CERTIFICATE_DAYS)


def test_a_damaged_certificate_is_made_anew_and_a_damaged_key_is_said(keys: Path) -> None:
    automatic(keys, NAMES, now=NOW)
    (keys / "tls.pem").write_text("nothing of the kind")
    assert automatic(keys, NAMES, now=NOW).names == ("data.example.org", "192.0.2.7", "::1")
    (keys / "tls.pem").unlink()
    (keys / "authority.key").write_text("nothing of the kind")
    with pytest.raises(LocalProblem, match="authority cannot be used"):
        automatic(keys, NAMES, now=NOW)


def test_a_given_certificate_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("nothing of the kind")
    with pytest.raises(LocalProblem, match="cannot be used"):
        given(tmp_path / "a.pem", tmp_path / "b.pem")


def test_what_is_no_name_is_refused_and_the_usual_names_are_names(keys: Path) -> None:
    for name in ("", "with space", "https://x", "user@x", "ü.example.org"):
        with pytest.raises(LocalProblem):
            automatic(keys, [name], now=NOW)
    for host in ("0.0.0.0", "192.0.2.9", "data.example.org"):
        names = usual_names(host)
        assert "127.0.0.1" in names
        assert ("0.0.0.0" in names) is False
        assert (host in names) is (host != "0.0.0.0")
        assert isinstance(automatic(keys, names, now=NOW), Tls)
