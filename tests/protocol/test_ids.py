from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadRequest
from protocol.ids import (
    parse_chunk_id,
    parse_device_id,
    parse_node_id,
    parse_view_id,
    split_chunk_ids,
    uuid7,
)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_a_node_id_is_a_uuid_of_version_7_that_keeps_its_time(now_ms: int, random_bits: int) -> None:
    node = uuid7(now_ms, random_bits)
    assert node.version == 7
    assert node.variant == "specified in RFC 4122"
    assert node.int >> 80 == now_ms


def test_other_random_bits_make_another_id_and_later_ids_sort_later() -> None:
    assert len({uuid7(5, 1 << bit) for bit in range(74)}) == 74
    assert uuid7(5, 2**74 - 1) < uuid7(6, 0)


@pytest.mark.parametrize("text", ["", "ab", "A" * 64, "g" * 64, "a" * 65, "a" * 63 + "\n", "a" * 64 + "\n"])
def test_what_is_no_chunk_id_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_chunk_id(text)


def test_a_chunk_id_is_32_bytes() -> None:
    assert parse_chunk_id("0f" * 32) == b"\x0f" * 32


@pytest.mark.parametrize("parse", [parse_node_id, parse_view_id, parse_device_id])
def test_a_uuid_is_taken_in_its_two_usual_forms_and_no_other(parse: object) -> None:
    assert callable(parse)
    value = UUID(int=2**127 + 5)
    assert parse(str(value)) == parse(value.hex) == value
    for text in ["", "x" * 36, "{" + str(value) + "}", value.urn, str(value)[:-1], "../../etc/passwd"]:
        with pytest.raises(BadRequest, match="Send a UUID"):
            parse(text)


def test_a_run_of_chunk_ids_is_split_and_a_broken_one_refused() -> None:
    assert split_chunk_ids(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    assert split_chunk_ids(b"") == []
    with pytest.raises(BadRequest, match="33 bytes"):
        split_chunk_ids(bytes(33))
