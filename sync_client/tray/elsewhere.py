"""The tray on macOS and Windows, and on Linux desktops that only know the old kind: pystray.

Owns: how our menu becomes pystray's.  Not run by us on macOS and Windows; the conversion is tested.
May import: pystray (imported late: without a display it fails), home, acting, icons, looking, menu, notices.
"""

from __future__ import annotations

import threading
from typing import Any

from protocol.errors import LocalProblem, MedicalBlocksError
from sync_client.home import ClientHome
from sync_client.tray import icons
from sync_client.tray.acting import act
from sync_client.tray.looking import look
from sync_client.tray.menu import Action, Face, Item, Quit, Seen, face_of
from sync_client.tray.notices import is_quiet, notices

LOOK_SECONDS = 2.0
ICON_PIXELS = 64


def run(home: ClientHome, *, tells: bool) -> None:
    """Until somebody quits; owns the main thread, as macOS demands.  Raises LocalProblem."""
    try:
        import pystray  # noqa: PLC0415 - see above
    except Exception as error:  # pystray raises whatever its back end raises
        raise LocalProblem(
            f"This desktop shows no icons of programs ({type(error).__name__})",
            hint="`mb-sync status` says the same in a terminal.",
        ) from error
    _PystrayTray(home, pystray, tells=tells).run()


class _PystrayTray:
    def __init__(self, home: ClientHome, pystray: Any, *, tells: bool) -> None:
        self._home = home
        self._pystray = pystray
        self._tells = tells
        self._ends = threading.Event()
        self._face = face_of(look(home, None))

    def run(self) -> None:
        icon = self._pystray.Icon("mb-sync", _image(self._face.state), _hint(self._face), self._menu())
        icon.run(setup=self._keep)

    def _menu(self) -> Any:
        return menu_for(self._pystray, self._face.menu, self._clicked)

    def _keep(self, icon: Any) -> None:
        """In a thread of its own, beside the desktop's."""
        icon.visible = True
        seen: Seen | None = None
        quiet: Seen | None = None
        while not self._ends.wait(LOOK_SECONDS if seen else 0):
            before, seen = seen, look(self._home, seen)
            face = face_of(seen)
            if face.state != self._face.state:
                icon.icon = _image(face.state)
            icon.title = _hint(face)
            self._face = face
            icon.menu = self._menu()
            icon.update_menu()
            for notice in notices(before, seen, quiet=quiet) if self._tells and icon.HAS_NOTIFICATION else ():
                icon.notify(notice.text, notice.title)
            if is_quiet(seen):
                quiet = seen
        icon.stop()

    def _clicked(self, action: Action) -> None:
        threading.Thread(target=self._act, args=(action,), name="click").start()

    def _act(self, action: Action) -> None:
        try:
            act(self._home, action)
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
