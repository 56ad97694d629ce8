"""The tray on macOS and Windows, and on Linux desktops that only know the old kind: pystray.

Owns: how our menu becomes pystray's.  Not run by us on macOS and Windows; the conversion is tested.
May import: pystray (imported late: without a display it fails), icons, menu, program.
"""

from __future__ import annotations

import threading
from typing import Any

from protocol.errors import LocalProblem, MedicalBlocksError
from sync_client.tray import icons
from sync_client.tray.menu import Action, Face, Item, Quit
from sync_client.tray.program import Program

LOOK_SECONDS = 2.0
ICON_PIXELS = 64


def run(program: Program, *, tells: bool) -> None:
    """Until somebody quits; owns the main thread, as macOS demands.  Raises LocalProblem."""
    try:
        import pystray  # noqa: PLC0415 - see above
    except Exception as error:  # pystray raises whatever its back end raises
        raise LocalProblem(
            f"This desktop shows no icons of programs ({type(error).__name__})",
            hint=f"`{program.in_a_terminal}` says the same in a terminal.",
        ) from error
    _PystrayTray(program, pystray, tells=tells).run()


class _PystrayTray:
    def __init__(self, program: Program, pystray: Any, *, tells: bool) -> None:
        self._program = program
        self._pystray = pystray
        self._tells = tells
        self._ends = threading.Event()
        self._seen = program.look()

    @property
    def _face(self) -> Face:
        return self._seen.face

    def run(self) -> None:
        icon = self._pystray.Icon(self._program.id, _image(self._face.state), _hint(self._face), self._menu())
        icon.run(setup=self._keep)

    def _menu(self) -> Any:
        return menu_for(self._pystray, self._face.menu, self._clicked)

    def _keep(self, icon: Any) -> None:
        """In a thread of its own, beside the desktop's."""
        icon.visible = True
        while True:
            icon.icon = _image(self._face.state)
            icon.title = _hint(self._face)
            icon.menu = self._menu()
            icon.update_menu()
            for notice in self._seen.notices if self._tells and icon.HAS_NOTIFICATION else ():
                icon.notify(notice.text, notice.title)
            if self._ends.wait(LOOK_SECONDS):
                break
            self._seen = self._program.look()
        icon.stop()

    def _clicked(self, action: Action) -> None:
        threading.Thread(target=self._act, args=(action,), name="click").start()

    def _act(self, action: Action) -> None:
        try:
            self._program.act(action)
        except MedicalBlocksError:  # the next look shows what is so
            return
        if isinstance(action, Quit):
            self._ends.set()


def menu_for(pystray: Any, items: tuple[Item, ...], clicked: Any) -> Any:
    """pystray's menu with the same lines."""

    def line(item: Item) -> Any:
        if item.is_separator:
            return pystray.Menu.SEPARATOR
        if item.items:
            return pystray.MenuItem(item.label, menu_for(pystray, item.items, clicked))
        if item.action is None:
            return pystray.MenuItem(item.label, None, enabled=False)
        action = item.action
        return pystray.MenuItem(item.label, lambda _icon, _item: clicked(action))

    return pystray.Menu(*(line(item) for item in items))


def _hint(face: Face) -> str:
    """Windows allows 127 signs."""
    return (f"{face.title}\n{face.detail}" if face.detail else face.title)[:127]


def _image(state: str) -> Any:
    from PIL import Image  # noqa: PLC0415 - with pystray

    return Image.frombytes("RGBA", (ICON_PIXELS, ICON_PIXELS), icons.rgba(state, ICON_PIXELS))
