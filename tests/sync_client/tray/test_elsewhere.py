"""The menu as pystray has it, where there is no D-Bus."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from sync_client.tray.elsewhere import menu_for
from sync_client.tray.menu import SEPARATOR, Action, Item, Open, Quit


@pytest.fixture
def pystray(monkeypatch: pytest.MonkeyPatch) -> Any:
    """With the back end that draws nothing: the others want a display when they are imported."""
    monkeypatch.setenv("PYSTRAY_BACKEND", "dummy")
    return importlib.import_module("pystray")


def test_each_line_is_there_with_what_it_does(pystray: Any) -> None:
    clicked: list[Action] = []
    below = (Item("Study", Open("/a")), Item("Raw", Open("/b")))
    items = (Item("All synced"), SEPARATOR, Item("Open folder", items=below), Item("Quit", Quit()))
    menu = menu_for(pystray, items, clicked.append).items
    assert [line.text for line in menu] == ["All synced", "- - - -", "Open folder", "Quit"]
    assert menu[1] is pystray.Menu.SEPARATOR
    assert not menu[0].enabled
    menu[3](None)
    menu[2].submenu.items[1](None)
    assert clicked == [Quit(), Open("/b")]
