from __future__ import annotations

import pytest

from server.http.ranges import Span, Unsatisfiable, asked_range, attachment, matches, overlap


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=0-1000", Span(0, 100)),
        ("bytes=99-", Span(99, 100)),
        ("bytes=10-19", Span(10, 20)),
        ("bytes=-1", Span(99, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=-", None),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        ("bytes=٣-٤", None),
    ],
)
def test_one_range_is_honoured_and_anything_else_means_the_whole_file(
    header: str | None, span: Span | None
) -> None:
    assert asked_range(header, 100) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0)])
def test_a_range_beyond_the_file_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        asked_range(header, size)


def test_an_entity_tag_is_found_in_a_list_weak_or_not() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"b"')
    assert not matches('"a"', '"b"')
    assert not matches(None, '"b"')


def test_a_hostile_name_cannot_leave_its_header() -> None:
    header = attachment('Bär "x"\r\nSet-Cookie: a=b\u202e.dcm')
    assert header.isascii()
    assert "\r" not in header
    assert header.count('"') == 2
    assert "filename*=UTF-8''B%C3%A4r" in header


def test_a_span_is_found_in_the_chunks_that_hold_it() -> None:
    lengths = [10, 10, 10]
    assert overlap(lengths, Span(0, 30)) == (0, 3, 0)
    assert overlap(lengths, Span(9, 11)) == (0, 2, 9)
    assert overlap(lengths, Span(10, 20)) == (1, 2, 0)
    assert overlap(lengths, Span(29, 30)) == (2, 3, 9)
