"""When a mass change asks: the limits, as pure functions of counts and bytes."""

from __future__ import annotations

import gzip
import random

import pytest

from sync_client.engine.guards import Counts, deletes_ask, disorder, done_at, rewrites_ask


@pytest.mark.parametrize(
    ("pending", "total", "asks"),
    [
        (100, 120, False),  # not more than a hundred, and not all
        (101, 400, True),  # more than a hundred, and more than a quarter
        (101, 405, False),  # more than a hundred, and less
        (1_000, 100_000, False),
        (1_001, 100_000, True),  # more than a thousand, whatever the share
        (10, 10, False),  # all of a small folder
        (11, 11, True),  # all of a larger one
        (0, 0, False),
    ],
)
def test_a_delete_asks_from_these_numbers_on(pending: int, total: int, *, asks: bool) -> None:
    assert deletes_ask(Counts(pending, 0, 0, total)) is asks


def test_many_small_deletes_within_minutes_add_up() -> None:
    assert not deletes_ask(Counts(60, 40, 0, 200))
    assert deletes_ask(Counts(61, 40, 0, 200))


@pytest.mark.parametrize(
    ("now", "same_start", "at"),
    [
        (1_000.0, True, 900.0),
        (1_000.0, None, 900.0),  # of two starts the earlier one is as long ago at least
        (40.0, None, 0.0),  # that clock began anew
        (40.0, False, 0.0),
        (5_000.0, False, 0.0),
    ],
)
def test_what_was_done_before_the_computer_started_is_as_young_as_that_start(
    now: float, same_start: bool | None, at: float
) -> None:
    assert done_at(900.0, now=now, same_start=same_start) == at


def test_what_a_person_agreed_to_does_not_ask_again_and_what_comes_on_top_does() -> None:
    assert not deletes_ask(Counts(5_000, 0, 5_000, 6_000))
    assert not deletes_ask(Counts(5_050, 0, 5_000, 6_000))
    assert deletes_ask(Counts(6_500, 0, 5_000, 7_000))


def test_encrypted_files_are_told_from_edited_and_from_compressed_ones() -> None:
    chance = random.Random(1)
    text = b"".join(b"patient %d had a scan of the knee\n" % number for number in range(1_000))
    noise = chance.randbytes(32_768)
    packed = gzip.compress(noise)
    assert disorder(b"a" * 1_000) == 0.0
    assert disorder(noise) > 7.9
    assert rewrites_ask([(text, noise)] * 3 + [(packed, noise)])
    assert not rewrites_ask([(text, text.replace(b"knee", b"hand"))] * 16)
    assert not rewrites_ask([(packed, noise)] * 16)
    assert not rewrites_ask([(noise, text)] * 16)  # put back
    assert not rewrites_ask([])
