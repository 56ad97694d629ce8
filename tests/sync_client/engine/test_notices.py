"""What the server tells a person, in words and with the command that answers it."""

from __future__ import annotations

from uuid import UUID

import pytest

from protocol.notices import Notice
from sync_client.engine.notices import answer, command, words

DEVICE = UUID(int=7)


@pytest.mark.parametrize(
    ("notice", "said", "does"),
    [
        (
            Notice(kind="review", folder="/Projects/My study/Intake", count=1),
            "1 file in /Projects/My study/Intake waits for a review",
            "mb-sync quarantine list '/Projects/My study/Intake'",
        ),
        (
            Notice(kind="failed", folder="/Projects/A/Intake", count=1_200),
            "1,200 files in /Projects/A/Intake could not be worked on",
            "mb-sync job list /Projects/A/Intake --state failed",
        ),
        (
            Notice(
                kind="device", folder="Study", code="MBS-1", device=DEVICE, device_name="pc", address="::1"
            ),
            "pc (::1) waits to be let in by sync code MBS-1, for Study",
            f"mb-sync code approve MBS-1 {DEVICE}",
        ),
        (
            Notice(
                kind="code", folder="Study", code="MBS-1", label="for Jo", device_name="\x1b[2J", address="a"
            ),
            "\\x1b[2J (a) used sync code MBS-1, for Jo, for Study, for the first time",
            "mb-sync code revoke MBS-1",
        ),
    ],
)
def test_each_kind_says_what_waits_and_what_to_do(notice: Notice, said: str, does: str) -> None:
    assert (words(notice), command(notice)) == (said, does)
    assert answer(notice)["waits"] is (notice.kind != "code")
