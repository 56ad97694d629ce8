"""A sync code survives being read aloud, typed and pasted; a typing error is found before a server is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codes import CodeSecret, SyncLink, code_text, is_link, parse_code, parse_link
from protocol.errors import LocalProblem, MistypedCode

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GOLDEN = {  # what is on paper somewhere must stay readable for ever
    bytes(16): "0000-0000-0000-0000-0000-0000-000",
    bytes(range(16)): "0004-1061-050R-3GG2-8A1C-60T3-GFZ",
    b"\xff" * 16: "7ZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZC",
}
SECRET = CodeSecret(bytes(range(16)))
CODE = GOLDEN[bytes(range(16))]
PIN = "0f" * 32
secrets = st.binary(min_size=16, max_size=16).map(CodeSecret)


@pytest.mark.parametrize(("secret", "text"), GOLDEN.items())
def test_a_secret_has_one_text(secret: bytes, text: str) -> None:
    assert code_text(CodeSecret(secret)) == text
    assert parse_code(text) == secret


@given(secrets)
def test_every_secret_comes_back_from_its_text(secret: CodeSecret) -> None:
    assert parse_code(code_text(secret)) == secret


@pytest.mark.parametrize(
    "typed",
    [
        CODE.lower(),
        CODE.replace("-", ""),
        CODE.replace("-", " "),
        f"  {CODE}\n",
        CODE.replace("0", "O").replace("1", "l"),
        CODE.replace("0", "o").replace("1", "I"),
        CODE.replace("-", "\u2011"),  # a hyphen as word processors write it
    ],
)
def test_case_blanks_hyphens_and_what_looks_alike_are_forgiven(typed: str) -> None:
    assert parse_code(typed) == SECRET


@given(secrets, st.integers(0, 26), st.sampled_from(SYMBOLS))
def test_one_wrong_symbol_shows(secret: CodeSecret, place: int, symbol: str) -> None:
    symbols = list(code_text(secret).replace("-", ""))
    if symbols[place] == symbol:
        return
    symbols[place] = symbol
    with pytest.raises(MistypedCode):
        parse_code("".join(symbols))


@given(secrets, st.integers(0, 26), st.integers(0, 26))
def test_two_symbols_that_changed_places_show(secret: CodeSecret, one: int, other: int) -> None:
    symbols = list(code_text(secret).replace("-", ""))
    if symbols[one] == symbols[other]:
        return
    symbols[one], symbols[other] = symbols[other], symbols[one]
    with pytest.raises(MistypedCode):
        parse_code("".join(symbols))


@pytest.mark.parametrize(
    "text", ["", "hello", CODE[:-1], CODE + "0", CODE.replace("R", "U"), "é" * 27, "0" * 10**6]
)
def test_what_is_no_code_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(MistypedCode, match="27 letters and digits"):
        parse_code(text)


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_refused_as_one(text: str) -> None:
    try:
        secret = parse_code(text)
    except MistypedCode:
        return
    assert len(secret) == 16


@pytest.mark.parametrize(
    ("text", "link"),
    [
        (f"https://data.example.org/s#{CODE}", SyncLink("https://data.example.org", SECRET)),
        (
            f"https://data.example.org:8443/s#{CODE}.{PIN}",
            SyncLink("https://data.example.org:8443", SECRET, PIN),
        ),
        (f"https://example.org/blocks/s#{CODE}", SyncLink("https://example.org/blocks", SECRET)),
        (f"http://127.0.0.1:8080/s#{CODE}", SyncLink("http://127.0.0.1:8080", SECRET)),
        (f"http://[::1]:8080/s#{CODE}", SyncLink("http://[::1]:8080", SECRET)),
    ],
)
def test_a_link_says_where_what_and_whom_to_trust(text: str, link: SyncLink) -> None:
    assert parse_link(text) == link
    assert link.text == text
    assert parse_link(f" {text.replace('/s#', '/s/#')}\n") == link


@given(secrets, st.none() | st.binary(min_size=32, max_size=32))
def test_every_link_comes_back_from_its_text(secret: CodeSecret, pinned: bytes | None) -> None:
    link = SyncLink("https://h.example", secret, "" if pinned is None else pinned.hex())
    assert parse_link(link.text) == link


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        f"https://data.example.org/{CODE}",
        f"https://data.example.org/x#{CODE}",
        "https://data.example.org/s#",
        f"https://data.example.org/s#{CODE[:-1]}A",
        f"https://data.example.org/s#{CODE}.",
        f"https://data.example.org/s#{CODE}.{PIN[:-1]}",
    ],
)
def test_what_is_no_link_is_said_in_a_sentence(text: str) -> None:
    with pytest.raises(MistypedCode):
        parse_link(text)


def test_a_code_never_crosses_a_network_in_the_clear() -> None:
    with pytest.raises(LocalProblem, match="https://"):
        parse_link(f"http://data.example.org/s#{CODE}")
    with pytest.raises(LocalProblem):
        parse_link(f"ftp://data.example.org/s#{CODE}")


def test_a_link_is_told_from_a_bare_code() -> None:
    assert is_link(f"https://data.example.org/s#{CODE}")
    assert not is_link(CODE)


def test_a_secret_is_not_shown_by_accident() -> None:
    shown = repr(SyncLink("https://h.example", SECRET))
    assert CODE not in shown
    assert str(bytes(SECRET)) not in shown
