# ruff: noqa: ARG002, N802, FBT003 - names and arguments of both interfaces are the standards'
"""The icon in the tray of a Linux desktop, over D-Bus: no toolkit, no X11, so it is the same under Wayland.

Owns: the item and its menu as the desktop's panel asks for them; being there again when the panel was restarted.
May import: dbus-fast, menu, icons.

Sources: StatusNotifierItem (freedesktop.org, StatusNotifierItem 0.1), com.canonical.dbusmenu (libdbusmenu's
dbus-menu.xml, version 3).  A panel finds us through `org.kde.StatusNotifierWatcher`, whichever desktop it is of.
"""

# No `from __future__ import annotations`: dbus-fast reads the annotations of its methods, and `None` as text is none.
import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any, Self

from dbus_fast import BusType, Message, MessageType, PropertyAccess, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import (
    DBusBool,
    DBusInt32,
    DBusObjectPath,
    DBusSignature,
    DBusStr,
    DBusUInt32,
    DBusVariant,
)
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from sync_client.tray import icons
from sync_client.tray.menu import Action, Face, Item

Click = Callable[[Action], Awaitable[None]]
Refresh = Callable[[], Awaitable[None]]  # look now, and `change` to what is seen

ITEM_PATH = "/StatusNotifierItem"
MENU_PATH = "/MenuBar"
WATCHER = "org.kde.StatusNotifierWatcher"
READ = PropertyAccess.READ
ANSWER_SECONDS = 5.0  # a desktop that hangs does not hold up the icon
PANEL_SECONDS = 15.0  # at login we may be there before the panel is
OPEN_SECONDS = 0.3  # a client that hangs does not hold up the menu

Pixmaps = Annotated[list[list[Any]], DBusSignature("a(iiay)")]
ToolTip = Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]
Ids = Annotated[list[int], DBusSignature("ai")]
Names = Annotated[list[str], DBusSignature("as")]
Layout = Annotated[list[Any], DBusSignature("u(ia{sv}av)")]
Properties = Annotated[list[list[Any]], DBusSignature("a(ia{sv})")]
Events = Annotated[list[list[Any]], DBusSignature("a(isvu)")]
TwoLists = Annotated[list[list[int]], DBusSignature("aiai")]


class NoPanel(Exception):
    """No desktop session, or nothing in it that shows icons of this kind."""


class _Item(ServiceInterface):
    """The icon itself.  The names are the standard's."""

    def __init__(self, name: str, face: Face) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._name = name
        self.face = face

    @dbus_property(READ)
    def Category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(READ)
    def Id(self) -> DBusStr:
        return self._name

    @dbus_property(READ)
    def Title(self) -> DBusStr:
        return "Medical-Blocks"

    @dbus_property(READ)
    def Status(self) -> DBusStr:
        """Panels may hide what is Passive; an icon that tells "all synced" is worth its place."""
        return "NeedsAttention" if self.face.state in ("attention", "error") else "Active"

    @dbus_property(READ)
    def IconName(self) -> DBusStr:
        return ""  # pixels, so that no icon theme has to know us

    @dbus_property(READ)
    def IconPixmap(self) -> Pixmaps:
        return [[size, size, icons.argb(self.face.state, size)] for size in icons.SIZES]

    @dbus_property(READ)
    def AttentionIconName(self) -> DBusStr:
        return ""

    @dbus_property(READ)
    def AttentionIconPixmap(self) -> Pixmaps:
        return [[size, size, icons.argb(self.face.state, size)] for size in icons.SIZES]

    @dbus_property(READ)
    def ToolTip(self) -> ToolTip:
        return ["", [], self.face.title, self.face.detail]

    @dbus_property(READ)
    def ItemIsMenu(self) -> DBusBool:
        return True  # a click of any button opens the menu: there is no window behind the icon

    @dbus_property(READ)
    def Menu(self) -> DBusObjectPath:
        return MENU_PATH

    @dbus_method()
    def Activate(self, x: DBusInt32, y: DBusInt32) -> None:
        """The panel shows the menu by itself."""

    @dbus_method()
    def SecondaryActivate(self, x: DBusInt32, y: DBusInt32) -> None:
        """As Activate."""

    @dbus_method()
    def ContextMenu(self, x: DBusInt32, y: DBusInt32) -> None:
        """As Activate."""

    @dbus_method()
    def Scroll(self, delta: DBusInt32, orientation: DBusStr) -> None:
        """Means nothing here."""

    @dbus_signal()
    def NewIcon(self) -> None:
        return None

    @dbus_signal()
    def NewAttentionIcon(self) -> None:
        return None

    @dbus_signal()
    def NewToolTip(self) -> None:
        return None

    @dbus_signal()
    def NewStatus(self) -> DBusStr:
        return "NeedsAttention" if self.face.state in ("attention", "error") else "Active"


class _Menu(ServiceInterface):
    """The menu.  An id names a line of one revision of it: 0 is the whole, children count on from it."""

    def __init__(self, face: Face, click: Click, refresh: Refresh) -> None:
        super().__init__("com.canonical.dbusmenu")
        self._click = click
        self._refresh = refresh
        self._revision = 0
        self._clicks: set[asyncio.Task[None]] = set()
        self._take(face)

    def _take(self, face: Face) -> None:
        self._revision += 1
        self._items: dict[int, Item] = {0: Item("Medical-Blocks", items=face.menu)}
        self._children: dict[int, list[int]] = {}
        self._number(0)

    def _number(self, parent: int) -> None:
        self._children[parent] = []
        for item in self._items[parent].items:
            number = len(self._items)
            self._items[number] = item
            self._children[parent].append(number)
            self._number(number)

    def change(self, face: Face) -> None:
        self._take(face)
        self.LayoutUpdated()

    @dbus_property(READ)
    def Version(self) -> DBusUInt32:
        return 3

    @dbus_property(READ)
    def TextDirection(self) -> DBusStr:
        return "ltr"

    @dbus_property(READ)
    def Status(self) -> DBusStr:
        return "normal"

    @dbus_property(READ)
    def IconThemePath(self) -> Names:
        return []

    @dbus_method()
    def GetLayout(self, parent: DBusInt32, depth: DBusInt32, names: Names) -> Layout:
        return [self._revision, self._layout(parent, depth)]

    def _layout(self, number: int, depth: int) -> list[Any]:
        below = self._children.get(number, []) if depth else []
        return [
            number,
            self._properties(number),
            [Variant("(ia{sv}av)", self._layout(child, depth - 1)) for child in below],
        ]

    def _properties(self, number: int) -> dict[str, Variant]:
        item = self._items.get(number)
        if item is None:
            return {}
        if item.is_separator:
            return {"type": Variant("s", "separator")}
        told = {"label": Variant("s", item.label.replace("_", "__"))}  # one alone would mark an access key
        if item.items:
            told["children-display"] = Variant("s", "submenu")
        elif item.action is None:
            told["enabled"] = Variant("b", False)
        return told

    @dbus_method()
    def GetGroupProperties(self, ids: Ids, names: Names) -> Properties:
        return [[number, self._properties(number)] for number in ids or list(self._items)]

    @dbus_method()
    def GetProperty(self, number: DBusInt32, name: DBusStr) -> DBusVariant:
        return self._properties(number).get(name, Variant("s", ""))

    @dbus_method()
    def Event(self, number: DBusInt32, kind: DBusStr, data: DBusVariant, timestamp: DBusUInt32) -> None:
        item = self._items.get(number)
        if kind != "clicked" or item is None or item.action is None:
            return
        task = asyncio.ensure_future(self._click(item.action))
        self._clicks.add(task)
        task.add_done_callback(self._clicks.discard)

    @dbus_method()
    def EventGroup(self, events: Events) -> Ids:
        for event in events:
            _Menu.Event(self, *event)
        return []

    @dbus_method()
    async def AboutToShow(self, number: DBusInt32) -> DBusBool:
        """Whether it is another one now: whoever opens the menu sees what is so, not what was so at the last look."""
        return await self._is_changed([number]) != []

    @dbus_method()
    async def AboutToShowGroup(self, ids: Ids) -> TwoLists:
        return [await self._is_changed(ids), []]

    async def _is_changed(self, ids: list[int]) -> list[int]:
        """Those of the ids of which the panel is to read the layout once more."""
        before = self._revision
        if 0 in ids:  # the whole; a line of it is never newer
            with suppress(TimeoutError):
                async with asyncio.timeout(OPEN_SECONDS):
                    await self._refresh()
        return ids if self._revision != before else []

    @dbus_signal()
    def LayoutUpdated(self) -> Annotated[list[int], DBusSignature("ui")]:
        return [self._revision, 0]


async def call(
    bus: MessageBus, service: str, path: str, member: str, signature: str, body: list[Any]
) -> list[Any] | None:
    """What the service answers; None where there is none, it refuses, or it does not answer in time.

    The interface is named as the service is, which holds for all that we call.
    """
    message = Message(
        destination=service, path=path, interface=service, member=member, signature=signature, body=body
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await bus.call(message)
    except TimeoutError:
        return None
    return reply.body if reply is not None and reply.message_type is MessageType.METHOD_RETURN else None


class TrayIcon:
    """In the panel from `open` to `close`."""

    def __init__(self, bus: MessageBus, name: str, face: Face, click: Click, refresh: Refresh) -> None:
        self._bus = bus
        self._item = _Item(name, face)
        self._menu = _Menu(face, click, refresh)
        self._is_shown = asyncio.Event()

    @classmethod
    async def open(cls, name: str, face: Face, click: Click, refresh: Refresh) -> Self:
        """name: as desktops remember where the icon belongs.  Raises NoPanel, after a while where a panel may come."""
        try:
            bus = await MessageBus(bus_type=BusType.SESSION).connect()
        except Exception as error:  # no address, no socket, turned away: all the same to whoever asks
            raise NoPanel(f"no desktop session answers ({error})") from error
        icon = cls(bus, name, face, click, refresh)
        bus.export(ITEM_PATH, icon._item)
        bus.export(MENU_PATH, icon._menu)
        bus.add_message_handler(icon._watcher_came)
        await call(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "AddMatch", "s", [_WATCHER_COMES])
        await icon._register()
        try:
            async with asyncio.timeout(PANEL_SECONDS):
                await icon._is_shown.wait()
        except TimeoutError:
            bus.disconnect()
            raise NoPanel("this desktop's panel shows no icons of programs") from None
        return icon

    async def _register(self) -> None:
        name = [self._bus.unique_name]
        path, member = "/StatusNotifierWatcher", "RegisterStatusNotifierItem"
        if await call(self._bus, WATCHER, path, member, "s", name) is not None:
            self._is_shown.set()

    def _watcher_came(self, message: Message) -> None:
        """A panel that begins now, or was restarted, does not know us."""
        is_it = message.member == "NameOwnerChanged" and message.body[:1] == [WATCHER] and message.body[2]
        if message.message_type is MessageType.SIGNAL and is_it:
            self._again = asyncio.ensure_future(self._register())

    @property
    def bus(self) -> MessageBus:
        return self._bus

    def change(self, face: Face) -> None:
        before, self._item.face = self._item.face, face
        if face.state != before.state:
            self._item.NewIcon()
            self._item.NewAttentionIcon()
            self._item.NewStatus()
        if (face.title, face.detail) != (before.title, before.detail):
            self._item.NewToolTip()
        if face.menu != before.menu:
            self._menu.change(face)

    def close(self) -> None:
        self._bus.disconnect()


_WATCHER_COMES = (
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
    f"member='NameOwnerChanged',arg0='{WATCHER}'"
)


def has_session() -> bool:
    """Whether there is a session to ask at all."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS")) or os.path.exists(os.path.join(runtime, "bus"))
