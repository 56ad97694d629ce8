"""Which notices a person wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.errors import BadRequest
from sync_client.home import ClientHome
from sync_client.notice_choice import LONGEST_SNOOZE_SECONDS, Level, NoticeChoice, read_choice, save_choice

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("choice", "urgent", "other"),
    [
        (NoticeChoice(), True, True),
        (NoticeChoice(Level.IMPORTANT), True, False),
        (NoticeChoice(Level.NONE), False, False),
        (NoticeChoice(snooze_until=NOW + 1), False, False),
        (NoticeChoice(Level.IMPORTANT, snooze_until=NOW), True, False),
    ],
)
def test_what_is_told(choice: NoticeChoice, urgent: bool, other: bool) -> None:
    assert choice.wants(urgent=True, now=NOW) is urgent
    assert choice.wants(urgent=False, now=NOW) is other


def test_the_choice_is_kept_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    home = ClientHome(tmp_path)
    assert read_choice(home) == NoticeChoice()
    chosen = NoticeChoice(Level.IMPORTANT, NOW + 60)
    save_choice(home, chosen, now=NOW)
    assert read_choice(home) == chosen
    for damaged in ("", "[]", "{", '{"level": "loud", "snooze_until": 0}', '{"level": "all"}'):
        (tmp_path / "notices.json").write_text(damaged)
        assert read_choice(home) == NoticeChoice()


def test_nobody_is_silenced_for_ever(tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        save_choice(
            ClientHome(tmp_path), NoticeChoice(snooze_until=NOW + LONGEST_SNOOZE_SECONDS + 1), now=NOW
        )
    assert list(tmp_path.iterdir()) == []
