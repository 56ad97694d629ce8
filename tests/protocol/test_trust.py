"""Whom a client believes: what people type, and what can never happen."""

from __future__ import annotations

import hashlib
import ssl

import pytest
import trustme

from protocol.errors import BadRequest
from protocol.http import ServerApi
from protocol.trust import Trust, fingerprint, proxy_address, read_fingerprint, shown_fingerprint


def test_a_fingerprint_is_the_hash_of_the_certificate_and_is_read_as_it_is_shown() -> None:
    pem = trustme.CA().cert_pem.bytes().decode()
    digits = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    assert fingerprint("a word before\n" + pem) == digits
    assert read_fingerprint(shown_fingerprint(digits)) == digits
    assert read_fingerprint(":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()) == digits


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "xy" * 32, "SHA256:" + "ab" * 32])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        read_fingerprint(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_is_no_authority_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        fingerprint(text)
    if text:
        with pytest.raises(BadRequest):
            Trust(authority=text).context()


def test_one_authority_excludes_all_others() -> None:
    context = Trust(authority=trustme.CA().cert_pem.bytes().decode()).context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_a_token_never_goes_to_a_server_that_nobody_vouches_for() -> None:
    with pytest.raises(RuntimeError):
        ServerApi("https://data.example.org", "t0ken", trust=Trust(is_blind=True))


def test_a_proxy_is_an_http_address_and_its_password_is_never_shown() -> None:
    assert proxy_address(" http://proxy.example.org:3128 ") == "http://proxy.example.org:3128"
    for text in ("", "proxy:3128", "https://proxy:3128", "http://", "http://proxy:port", "socks5://p:1"):
        with pytest.raises(BadRequest):
            proxy_address(text)
    assert "secret" not in repr(Trust(proxy="http://anna:secret@proxy:3128"))
