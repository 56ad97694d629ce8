"""An hour without notices, from the tray's menu."""

from __future__ import annotations

import time
from pathlib import Path

from sync_client.home import ClientHome
from sync_client.notice_choice import Level, NoticeChoice, read_choice, save_choice
from sync_client.tray.acting import act
from sync_client.tray.menu import Snooze


def test_a_click_silences_all_notices_for_an_hour_and_keeps_the_rest_of_the_choice(tmp_path: Path) -> None:
    home = ClientHome(tmp_path)
    save_choice(home, NoticeChoice(Level.IMPORTANT), now=time.time())
    began = time.time()
    act(home, Snooze(3_600))
    choice = read_choice(home)
    assert choice.level is Level.IMPORTANT
    assert not choice.wants(urgent=True, now=began + 3_599)
    assert choice.wants(urgent=True, now=time.time() + 3_601)
