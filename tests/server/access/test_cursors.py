"""Sealed positions."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadRequest
from protocol.ids import ViewId
from server.access.cursors import Cursors, Position

CURSORS = Cursors(bytes(32))
VIEW = ViewId(uuid4())
NUMBER = st.integers(0, 2**64 - 1)


@given(
    st.builds(
        Position, st.integers(0, 2**32 - 1), NUMBER, NUMBER, NUMBER, st.binary(min_size=16, max_size=16)
    )
)
def test_what_was_sealed_comes_out_again(position: Position) -> None:
    assert CURSORS.open(VIEW, CURSORS.seal(VIEW, position)) == position


def test_the_empty_cursor_is_the_start() -> None:
    assert CURSORS.open(VIEW, "") is None


@given(st.text(max_size=300).filter(bool))
def test_any_other_text_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        CURSORS.open(VIEW, text)


def test_a_cursor_of_another_view_another_server_or_altered_is_a_bad_request() -> None:
    sealed = CURSORS.seal(VIEW, Position(1, 2, 3))
    altered = sealed[:30] + ("A" if sealed[30] != "A" else "B") + sealed[31:]
    for cursors, view, text in (
        (CURSORS, ViewId(uuid4()), sealed),
        (Cursors(bytes(31) + b"1"), VIEW, sealed),
        (CURSORS, VIEW, altered),
        (CURSORS, VIEW, sealed[:-1]),
    ):
        with pytest.raises(BadRequest):
            cursors.open(view, text)
