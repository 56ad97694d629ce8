"""When an item that cannot go on is tried again, and when a person is told."""

from __future__ import annotations

import pytest

from sync_client.engine.troubles import (
    BACK_OFF_SECONDS,
    CHANGING,
    COPY_AFTER,
    OVERTAKEN,
    PATIENCE,
    QUIET_SECONDS,
    Troubles,
)
from tests.support.followed import a_node

NODE, OTHER = a_node(), a_node()


def put_off(troubles: Troubles, *, now: float, code: str = "unreadable") -> None:
    troubles.put_off(NODE, "scans/a.dcm", code, "You may not read this file.", now=now)


def test_each_try_that_fails_makes_the_wait_longer_up_to_a_day() -> None:
    troubles, now = Troubles(), 100.0
    for wait in (*BACK_OFF_SECONDS, BACK_OFF_SECONDS[-1], BACK_OFF_SECONDS[-1]):
        put_off(troubles, now=now)
        assert troubles.next_at() == now + wait
        assert troubles.is_put_off(NODE, now=now + wait - 0.01)
        assert not troubles.is_put_off(NODE, now=now + wait)
        now += wait
    assert sorted(BACK_OFF_SECONDS) == list(BACK_OFF_SECONDS)


def test_an_item_that_changed_is_tried_at_once_and_as_patiently_as_at_first() -> None:
    troubles = Troubles()
    for now in (0.0, 10.0, 20.0):
        put_off(troubles, now=now)
    troubles.clear([OTHER, NODE])
    assert NODE not in troubles
    assert len(troubles) == 0
    assert troubles.next_at() is None
    put_off(troubles, now=30.0)
    assert troubles.next_at() == 30.0 + BACK_OFF_SECONDS[0]


def test_one_item_never_holds_up_another() -> None:
    troubles = Troubles()
    put_off(troubles, now=0.0)
    assert not troubles.is_put_off(OTHER, now=0.0)
    assert OTHER not in troubles


def test_the_next_look_is_at_the_item_that_is_due_first() -> None:
    troubles = Troubles()
    for now in (0.0, 1.0, 2.0):
        put_off(troubles, now=now)
    troubles.put_off(OTHER, "b.dcm", "disk-full", "No room.", now=2.5)
    assert troubles.next_at() == 2.5 + BACK_OFF_SECONDS[0]


def test_who_asks_for_a_fresh_look_has_everything_tried_and_nothing_forgotten() -> None:
    troubles = Troubles()
    put_off(troubles, now=1_000.0)
    put_off(troubles, now=1_000.0)
    troubles.try_all_now()
    assert not troubles.is_put_off(NODE, now=0.5)
    assert [trouble.code for trouble in troubles.shown()] == ["unreadable"]
    put_off(troubles, now=1_001.0)
    assert troubles.next_at() == 1_001.0 + BACK_OFF_SECONDS[2]


@pytest.mark.parametrize("code", sorted(OVERTAKEN))
def test_what_was_only_overtaken_by_an_edit_is_not_shown_before_it_happens_again_and_again(code: str) -> None:
    troubles = Troubles()
    for number in range(PATIENCE):
        put_off(troubles, now=float(number), code=code)
        assert troubles.shown() == []
    put_off(troubles, now=100.0, code=code)
    [shown] = troubles.shown()
    assert (shown.path, shown.code, shown.tries) == ("scans/a.dcm", code, PATIENCE + 1)


def test_what_a_person_must_put_right_is_shown_at_once() -> None:
    troubles = Troubles()
    put_off(troubles, now=0.0)
    assert [trouble.message for trouble in troubles.shown()] == ["You may not read this file."]


def test_a_file_that_is_being_written_is_read_when_it_was_quiet_or_when_its_time_is_up() -> None:
    troubles = Troubles()
    for now in (0.0, 10.0, 20.0, 30.0):
        put_off(troubles, now=now, code=CHANGING)
    latest = 30.0 + QUIET_SECONDS[3]
    assert troubles.next_at() == latest
    troubles.changed([NODE], now=31.0)
    assert troubles.is_put_off(NODE, now=32.9)
    troubles.changed([NODE], now=32.9)  # still being written
    assert troubles.is_put_off(NODE, now=34.0)
    assert not troubles.is_put_off(NODE, now=32.9 + QUIET_SECONDS[0])
    for moment in range(33, int(latest) + 1):
        troubles.changed([NODE], now=float(moment))
    assert not troubles.is_put_off(NODE, now=latest)


def test_after_ten_tries_a_copy_is_read_and_waiting_never_grows_beyond_a_minute() -> None:
    troubles = Troubles()
    for number in range(COPY_AFTER):
        assert not troubles.is_restless(NODE)
        put_off(troubles, now=100.0 * number, code=CHANGING)
        troubles.changed([NODE], now=100.0 * number)
    assert troubles.is_restless(NODE)
    put_off(troubles, now=5_000.0, code=CHANGING)
    assert troubles.next_at() == 5_060.0


def test_what_was_put_right_and_goes_wrong_in_another_way_begins_anew() -> None:
    troubles = Troubles()
    for now in (0.0, 1.0, 2.0):
        put_off(troubles, now=now)
    put_off(troubles, now=3.0, code="changed")
    assert troubles.next_at() == 3.5


def test_what_was_tried_and_came_to_nothing_backs_off_and_what_became_due_meanwhile_does_not() -> None:
    troubles = Troubles()
    put_off(troubles, now=0.0)
    troubles.put_off(OTHER, "b", "unreadable", "", now=1.0)
    troubles.came_to_nothing(tried_at=BACK_OFF_SECONDS[0], now=BACK_OFF_SECONDS[0] + 2.0)
    assert troubles.is_put_off(NODE, now=BACK_OFF_SECONDS[0] + BACK_OFF_SECONDS[1])
    assert not troubles.is_put_off(OTHER, now=BACK_OFF_SECONDS[0] + 2.0)
