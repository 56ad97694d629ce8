from __future__ import annotations

import pytest

from protocol.errors import LocalProblem
from protocol.server_address import is_loopback, server_address


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://data.example.org", "https://data.example.org"),
        (" https://Data.Example.org:8443/ ", "https://data.example.org:8443"),
        ("https://example.org/blocks/", "https://example.org/blocks"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("HTTP://127.8.9.10", "http://127.8.9.10"),
    ],
)
def test_an_address_is_kept_in_one_form(typed: str, kept: str) -> None:
    assert server_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "data.example.org",
        "localhost:8080",
        "ftp://x",
        "https://",
        "https://x:port",
        "https://x:99999",
        "https://[x",
        "file:///etc/passwd",
        "https://ada:secret@x",
        "https://x?y=1",
        "https://x#y",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(LocalProblem, match=r"Give it like https://"):
        server_address(typed)


@pytest.mark.parametrize(
    "host", ["data.example.org", "10.0.0.1", "192.168.1.5", "[fe80::1]", "127.0.0.1.evil.org"]
)
def test_no_password_crosses_a_network_in_the_clear(host: str) -> None:
    with pytest.raises(LocalProblem, match=r"in the clear\. Use https://\.$"):
        server_address(f"http://{host}")


def test_loopback_is_this_computer_only() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.255.0.1", "::1"]))
    assert not any(map(is_loopback, ["localhost.example.org", "0.0.0.0", "::", "128.0.0.1", ""]))
