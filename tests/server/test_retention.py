"""Which old versions a rule spares."""

import pytest

from protocol.errors import BadRequest
from server.retention import Replaced, Step, parse_trash, parse_versions, to_drop, told

DAY_MS = 86_400_000
NOW_MS = 20_000 * DAY_MS + DAY_MS // 2
DEFAULT = parse_versions("all 1d, daily 30d, weekly 365d")


def kept(hours_ago: list[int], steps: list[Step]) -> list[int]:
    """Of versions replaced so many hours ago, the oldest first: those that stay."""
    replaced = [
        Replaced(1, number, NOW_MS - hours * 3_600_000) for number, hours in enumerate(hours_ago, start=1)
    ]
    dropped = {version.number for version in to_drop(replaced, steps, now_ms=NOW_MS)}
    return [hours for number, hours in enumerate(hours_ago, start=1) if number not in dropped]


def test_all_of_the_last_day_stay() -> None:
    assert kept([20, 15, 3, 2, 1], DEFAULT) == [20, 15, 3, 2, 1]


def test_of_each_day_of_the_last_month_the_last_one_stays() -> None:
    assert kept([60, 58, 56, 2], DEFAULT) == [56, 2]
    assert len(kept([24 * 10 + hour for hour in range(11, -1, -1)], DEFAULT)) == 1


def test_then_one_a_week_and_after_a_year_none() -> None:
    weeks = kept([24 * day for day in range(360, 31, -1)], DEFAULT)
    assert 46 <= len(weeks) <= 49
    assert kept([24 * 366, 24 * 1_000], DEFAULT) == []


def test_a_last_step_without_an_age_is_for_ever() -> None:
    assert len(kept([24 * 3_000, 24 * 2_000], parse_versions("all 1d, weekly"))) == 2
    assert kept([24 * 9_999, 24 * 9_999], parse_versions("all")) == [24 * 9_999] * 2


@pytest.mark.parametrize(
    "text", ["", "some 1d", "all 1d,", "all 1d, daily 1d", "all, daily 3d", "all 1", "daily 3d all 4d"]
)
def test_what_is_unclear_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"does not say|no span"):
        parse_versions(text)


def test_the_trash_is_kept_for_a_time_or_for_ever() -> None:
    assert (parse_trash("30d"), parse_trash("forever")) == (30 * 86_400, None)
    assert told("all", "2w").trash_days == 14
