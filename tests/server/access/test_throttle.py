"""How fast passwords may be guessed: the rule alone, then with its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import TooManyTries
from server.access.throttle import (
    DAY_MS,
    LONGEST_WAIT_MS,
    TRIES_A_DAY,
    Tries,
    account_after_try,
    account_wait_ms,
    address_after_try,
    address_wait_ms,
    count_try,
    take_back,
)
from server.database.session import Database

START_MS = 1_800_000_000_000


def waits(count: int) -> list[int]:
    """How long an account waits before each of `count` tries, each made as soon as it may be."""
    tries, now_ms, found = Tries(), START_MS, []
    for _ in range(count):
        wait_ms = account_wait_ms(tries, now_ms)
        found.append(wait_ms)
        now_ms += wait_ms
        tries = account_after_try(tries, now_ms)
    return found


def test_five_tries_are_free_then_each_waits_twice_as_long() -> None:
    assert waits(9) == [0, 0, 0, 0, 0, 2_000, 4_000, 8_000, 16_000]


def test_no_wait_is_longer_than_a_quarter_of_an_hour_until_the_day_is_used_up() -> None:
    found = waits(TRIES_A_DAY)
    assert max(found) == LONGEST_WAIT_MS
    assert sum(found) < DAY_MS


def test_a_hundred_tries_are_all_that_a_day_has() -> None:
    tries = Tries(failures=1, last_at_ms=START_MS, day_failures=TRIES_A_DAY, day_started_at_ms=START_MS)
    assert account_wait_ms(tries, START_MS + DAY_MS - 1) == 1
    assert account_wait_ms(tries, START_MS + DAY_MS) == 0


def test_an_address_has_thirty_tries_at_once_and_thirty_more_each_minute() -> None:
    tries = Tries()
    for _ in range(30):
        assert address_wait_ms(tries, START_MS) == 0
        tries = address_after_try(tries, START_MS)
    assert address_wait_ms(tries, START_MS) == 2_000
    assert address_wait_ms(tries, START_MS + 2_000) == 0
    for second in range(0, 120, 2):
        assert address_wait_ms(tries, START_MS + 2_000 + second * 1_000) == 0
        tries = address_after_try(tries, START_MS + 2_000 + second * 1_000)


async def test_tries_outlive_a_restart_and_a_right_password_takes_them_back(tmp_path: Path) -> None:
    for _ in range(5):
        database = Database.open(tmp_path / "server.db", migrate=True)
        with database.writing() as session:
            count_try(session, account="ada", address="1", now_ms=START_MS)
        database.close()
    database = Database.open(tmp_path / "server.db", migrate=True)
    with pytest.raises(TooManyTries) as told, database.writing() as session:
        count_try(session, account="ada", address="2", now_ms=START_MS)
    assert told.value.retry_after_seconds == 2
    with database.writing() as session:
        take_back(session, account="ada", address="1")
        count_try(session, account="ada", address="1", now_ms=START_MS)
    database.close()
