"""MB-Sync in the file explorer: emblems and a menu.  `mb-sync explorer on` put this here; `explorer off` takes it away.

One file for Nautilus (4.0 and 3.0), Nemo and Caja: they differ in the name of their library and in a few arguments.
It runs inside the explorer, in the system's Python and in the explorer's own loop, so nothing here ever waits.  What is
known stands in mb_sync_explorer.book, what is shown and offered is decided in mb_sync_explorer.offering.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gi

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


def _explorer() -> tuple[str, Any]:
    """Which explorer this is, and its library: told by the folder that we lie in."""
    names = {
        "nautilus-python": ("Nautilus", "4.0", "3.0"),
        "nemo-python": ("Nemo", "3.0"),
        "caja-python": ("Caja", "2.0"),
    }
    name, *versions = next(
        (those for folder, those in names.items() if f"/{folder}/" in HERE), names["nautilus-python"]
    )
    for version in versions:
        with suppress(ValueError):
            gi.require_version(name, version)
            break
    return name, getattr(__import__("gi.repository", fromlist=[name]), name)


NAME, Explorer = _explorer()
from gi.repository import Gio, GLib, GObject  # noqa: E402 - after the versions were chosen
from mb_sync_explorer.offering import Ask, CopyCode, Entry, Page, emblem_of, menu_of  # noqa: E402 - it lies beside us
from mb_sync_explorer.talking import Talk  # noqa: E402 - as above

MOST_FILES = 5_000  # as many as the book knows
COMMAND_SECONDS = 120.0
NOTICES = "org.freedesktop.Notifications"
FAILED = "That did not work"


class ExplorersLoop:
    """mb_sync_explorer.talking.Loop, by the explorer's own."""

    def on_readable(self, handle: int, call: Callable[[], None]) -> int:
        return self._watch(handle, GLib.IOCondition.IN | GLib.IOCondition.HUP | GLib.IOCondition.ERR, call)

    def on_writable(self, handle: int, call: Callable[[], None]) -> int:
        return self._watch(handle, GLib.IOCondition.OUT | GLib.IOCondition.HUP | GLib.IOCondition.ERR, call)

    def later(self, seconds: float, call: Callable[[], None]) -> list[int]:
        """In a list, which is empty when it has been: a number is given to somebody else then."""
        number: list[int] = []

        def ring() -> bool:
            number.clear()
            call()
            return False

        number.append(GLib.timeout_add(int(seconds * 1000), ring))
        return number

    def cancel(self, what: Any) -> None:
        for number in what if isinstance(what, list) else [what]:
            GLib.source_remove(number)

    def _watch(self, handle: int, condition: Any, call: Callable[[], None]) -> int:
        def ready(*_: Any) -> bool:
            call()
            return True  # until it is cancelled

        return int(GLib.io_add_watch(handle, GLib.PRIORITY_DEFAULT_IDLE, condition, ready))


class Client:
    """One client home, and what of it the explorer shows."""

    def __init__(self, home: str, command: list[str], *, has_pages: bool) -> None:
        self.home = home
        self.command = command
        self.has_pages = has_pages
        self.files: OrderedDict[str, Any] = OrderedDict()  # path → what the explorer calls the file
        self.talk = Talk(ExplorersLoop(), home, self._changed)
        self.talk.start()

    def remember(self, path: str, file: Any) -> None:
        self.files[path] = file
        self.files.move_to_end(path)
        while len(self.files) > MOST_FILES:
            self.files.popitem(last=False)

    def _changed(self, paths: set[str] | None) -> None:
        for path in list(self.files) if paths is None else paths:
            file = self.files.get(path)
            if file is not None and not file.is_gone():
                file.invalidate_extension_info()

    # ---- clicks ------------------------------------------------------------------------------------------

    def act(self, action: Any, name: str) -> None:
        """Begin it; a notice tells when it is done, or why not."""
        if isinstance(action, CopyCode):
            self._run(["code", "create", action.remote, "--json"], lambda said: self._made_code(said, name))
        elif isinstance(action, Page):
            where = [one for one in (action.place, action.path) if one]
            self._run(["settings", *where], lambda _: None)
        elif isinstance(action, Ask):
            done = action.done

            def answered(_: Any, why: str | None) -> None:
                tell("Done" if why is None else FAILED, done if why is None else why)

            self.talk.ask(action.do, dict(action.arguments), answered, seconds=COMMAND_SECONDS)

    def _made_code(self, said: str, name: str) -> None:
        made = json.loads(said)
        copy(made["link"])
        until = time.strftime("%Y-%m-%d", time.localtime(made["expires_at_ms"] / 1000))
        tell(
            "The link is copied",
            f"Whoever has it may read {name} until {until}, on {made['devices']} devices. Send it to one person."
            f" To end it: mb-sync code revoke {made['code']}",
        )

    def _run(self, arguments: list[str], done: Callable[[str], None]) -> None:
        """One of MB-Sync's commands; done is given what it wrote."""
        flags = Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_PIPE
        launcher = Gio.SubprocessLauncher.new(flags)
        launcher.set_cwd(self.home)

        def ended(process: Any, result: Any) -> None:
            try:
                _, said, complaints = process.communicate_utf8_finish(result)
                if not process.get_successful():
                    lines = (complaints or "").strip().splitlines()
                    raise ValueError(lines[-1].replace("mb-sync: ", "", 1) if lines else "It gave no reason.")
                done(said)
            except (GLib.Error, ValueError, KeyError) as error:
                tell(FAILED, str(error))

        try:
            launcher.spawnv([*self.command, *arguments]).communicate_utf8_async(None, None, ended)
        except GLib.Error as error:
            tell(FAILED, str(error.message))


def copy(text: str) -> None:
    """Into the clipboard, through the toolkit that the explorer has loaded: its bindings may not be installed."""
    if _has("libgtk-4.so.1", "gdk_clipboard_set_text"):
        gtk = ctypes.CDLL("libgtk-4.so.1")
        gtk.gdk_display_get_default.restype = ctypes.c_void_p
        gtk.gdk_display_get_clipboard.restype = ctypes.c_void_p
        gtk.gdk_display_get_clipboard.argtypes = [ctypes.c_void_p]
        gtk.gdk_clipboard_set_text.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        gtk.gdk_clipboard_set_text.restype = None
        gtk.gdk_clipboard_set_text(
            gtk.gdk_display_get_clipboard(gtk.gdk_display_get_default()), text.encode()
        )
        return
    gdk, gtk = ctypes.CDLL("libgdk-3.so.0"), ctypes.CDLL("libgtk-3.so.0")
    gdk.gdk_atom_intern.restype = ctypes.c_void_p
    gdk.gdk_atom_intern.argtypes = [ctypes.c_char_p, ctypes.c_int]
    gtk.gtk_clipboard_get.restype = ctypes.c_void_p
    gtk.gtk_clipboard_get.argtypes = [ctypes.c_void_p]
    gtk.gtk_clipboard_set_text.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    gtk.gtk_clipboard_set_text.restype = None
    gtk.gtk_clipboard_set_text(gtk.gtk_clipboard_get(gdk.gdk_atom_intern(b"CLIPBOARD", 0)), text.encode(), -1)


def _has(library: str, function: str) -> bool:
    """Whether the explorer has it loaded; nothing is loaded by this."""
    try:
        return hasattr(ctypes.CDLL(library, mode=os.RTLD_NOLOAD | os.RTLD_LAZY), function)
    except OSError:
        return False


def tell(title: str, text: str) -> None:
    """A notice of the desktop's."""
    body = GLib.Variant("(susssasa{sv}i)", ("MB-Sync", 0, "mb-sync-folder", title, text, [], {}, -1))

    def connected(_: Any, result: Any) -> None:
        with suppress(GLib.Error):
            Gio.bus_get_finish(result).call(
                *(NOTICES, "/org/freedesktop/Notifications", NOTICES, "Notify", body),
                *(None, Gio.DBusCallFlags.NONE, 5_000, None, None),
            )

    Gio.bus_get(Gio.BusType.SESSION, None, connected)


def _clients() -> list[Client]:
    try:
        with open(os.path.join(HERE, "mb_sync_explorer", "where.json"), encoding="utf-8") as file:
            where = json.load(file)
        return [
            Client(one["home"], list(one["command"]), has_pages=bool(one["pages"])) for one in where["homes"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []


CLIENTS = _clients()


class MbSyncFiles(GObject.GObject, Explorer.InfoProvider, Explorer.MenuProvider):  # type: ignore[name-defined]
    """What the explorer asks: about each file it shows, and for the menu of what is selected."""

    def update_file_info(self, file: Any) -> None:
        path = _path(file)
        if path is None:
            return
        for client in CLIENTS:
            mark = client.talk.mark(path)
            client.remember(path, file)
            emblem = emblem_of(mark)
            if emblem is not None:
                file.add_emblem(emblem)
                return

    def get_file_items(self, *arguments: Any) -> list[Any]:
        files = arguments[-1]  # Nautilus before 4.0, Nemo and Caja put a window before it
        return self._menu(files[0], "MbSyncSelected") if len(files) == 1 else []

    def get_background_items(self, *arguments: Any) -> list[Any]:
        return self._menu(arguments[-1], "MbSyncFolder")

    def _menu(self, file: Any, kind: str) -> list[Any]:
        """kind: begins the names of its lines, by which the explorer tells them apart: two menus are there at once."""
        path = _path(file)
        if path is None:
            return []
        for client in CLIENTS:
            entries = menu_of(
                client.talk.mark(path), is_folder=file.is_directory(), has_pages=client.has_pages
            )
            if entries:
                top = Explorer.MenuItem(name=kind, label="MB-Sync", tip="", icon="")
                top.set_submenu(self._lines(entries, client, file.get_name(), kind))
                return [top]
        return []

    def _lines(self, entries: tuple[Entry, ...], client: Client, name: str, kind: str) -> Any:
        menu = Explorer.Menu()
        for entry in entries:
            item = Explorer.MenuItem(
                name=f"{kind}::{entry.name}", label=entry.label.replace("_", "__"), tip="", icon=""
            )
            if entry.entries:
                item.set_submenu(self._lines(entry.entries, client, name, kind))
            elif entry.action is None:
                item.set_property("sensitive", False)  # noqa: FBT003 - the toolkit's
            else:
                item.connect("activate", _clicked(client, entry.action, name))
            menu.append_item(item)
        return menu


def _clicked(client: Client, action: Any, name: str) -> Callable[[Any], None]:
    def click(_: Any) -> None:
        client.act(action, name)

    return click


def _path(file: Any) -> str | None:
    """None: it lies on no disk.  A name that is not text is none of ours to mark."""
    location = file.get_location()
    path = location.get_path() if location is not None else None
    if path is None:
        return None
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return str(path)
