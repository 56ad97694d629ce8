"""What `mb-sync explorer on` puts where, on each system.

Owns: the files of the extension and its pictures, the line in the places bar, the folder's own icon; undoing all of it.
May import: the standard library, protocol.errors, tray.icons (for the pictures).

What is to be there is decided by pure functions, for all three systems; only `put`, `take_away` and `is_there` touch
one.  What is for Windows and macOS was never run: this project's machines have neither.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from urllib.parse import quote

from protocol.errors import LocalProblem
from sync_client.tray import icons

EXTENSION = Path(__file__).with_name("extension")
PACKAGE = "mb_sync_explorer"
GLUE = "mb_sync_files.py"
WHERE = "where.json"
EMBLEMS = {  # as the extension names them → the picture
    "mb-sync-synced": "synced",
    "mb-sync-syncing": "syncing",
    "mb-sync-problem": "attention",
    "mb-sync-excluded": "excluded",
    "mb-sync-waiting": "paused",
}
FOLDER_ICON = "mb-sync-folder"
COMMAND_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class File:
    """A file of ours, whole."""

    path: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A line in a file of somebody else's, known by how it begins."""

    path: Path
    begins: str
    rest: str


@dataclass(frozen=True, slots=True)
class Command:
    """What only a program of the system can do; that it cannot is no failure."""

    on: tuple[str, ...]
    off: tuple[str, ...]


Step = File | Line | Command


@dataclass(frozen=True, slots=True)
class Explorer:
    """name: of its program and, with -python, of the package that runs extensions in it."""

    name: str
    title: str
    library: str  # what runs extensions in it, somewhere below /usr/lib


EXPLORERS = (
    Explorer("nautilus", "Files (Nautilus)", "libnautilus-python.so"),
    Explorer("nemo", "Nemo", "libnemo-python.so"),
    Explorer("caja", "Caja", "libcaja-python.so"),
)


# ---- Linux -----------------------------------------------------------------------------------------------


def data_folder(home: Path, variables: Mapping[str, str]) -> Path:
    said = variables.get("XDG_DATA_HOME", "").strip()
    return Path(said) if said.startswith("/") else home / ".local" / "share"


def extension_folder(data: Path, explorer: Explorer) -> Path:
    return data / f"{explorer.name}-python" / "extensions"


def where_of(data: Path, explorer: Explorer) -> Path:
    """The file in which the extension reads which clients there are."""
    return extension_folder(data, explorer) / PACKAGE / WHERE


def extension_steps(data: Path, explorer: Explorer) -> list[Step]:
    """The extension in one explorer; which clients it asks is said in another file beside it."""
    folder = extension_folder(data, explorer)
    modules = sorted((EXTENSION / PACKAGE).glob("*.py"))
    return [
        *(File(folder / PACKAGE / module.name, module.read_bytes()) for module in modules),
        File(folder / GLUE, (EXTENSION / GLUE).read_bytes()),  # last: it is what the explorer looks for
    ]


def picture_steps(data: Path) -> list[Step]:
    place = data / "icons" / "hicolor" / "scalable"
    found: list[Step] = [
        File(place / "emblems" / f"{name}.svg", icons.emblem(picture).encode())
        for name, picture in EMBLEMS.items()
    ]
    return [*found, File(place / "places" / f"{FOLDER_ICON}.svg", icons.folder().encode())]


def folder_steps(folder: Path, home: Path, variables: Mapping[str, str]) -> list[Step]:
    """Of one followed folder: its place in the bar, its icon.

    Source: the places bar of GTK 3 and 4 is ~/.config/gtk-3.0/bookmarks, a URI and a label a line; the icon is an
    attribute that GVfs keeps beside the file, never in it.
    """
    said = variables.get("XDG_CONFIG_HOME", "").strip()
    config = Path(said) if said.startswith("/") else home / ".config"
    uri = "file://" + quote(os.fsencode(folder))
    key = "metadata::custom-icon-name"
    return [
        Line(config / "gtk-3.0" / "bookmarks", uri, f" {folder.name}"),
        Command(
            ("gio", "set", str(folder), key, FOLDER_ICON), ("gio", "set", "-t", "unset", str(folder), key)
        ),
    ]


# ---- Windows and macOS: never run ------------------------------------------------------------------------


def windows_steps(folder: PureWindowsPath, icon: PureWindowsPath) -> list[Step]:
    """The folder's icon, by a `desktop.ini` that MB-Sync never syncs, and its place in Quick Access.

    Source: Microsoft, "How to Customize Folders with Desktop.ini"; the shell's verbs `pintohome`, `unpinfromhome`.
    """
    ini = f"[.ShellClassInfo]\r\nIconResource={icon},0\r\n"

    def shell(verb: str) -> tuple[str, ...]:
        place = str(folder).replace("'", "''")
        script = f"(New-Object -ComObject shell.application).Namespace('{place}').Self.InvokeVerb('{verb}')"
        return ("powershell", "-NoProfile", "-Command", script)

    return [
        File(Path(folder / "desktop.ini"), ini.encode("utf-16")),
        Command(
            ("attrib", "+s", "+h", str(folder / "desktop.ini")),
            ("attrib", "-s", "-h", str(folder / "desktop.ini")),
        ),
        Command(("attrib", "+r", str(folder)), ("attrib", "-r", str(folder))),
        Command(shell("pintohome"), shell("unpinfromhome")),
    ]


def macos_steps(folder: PurePath, icon: PurePath) -> list[Step]:
    """The folder's icon.  Its place in the Finder's bar has no interface of the system's: the person drags it there.

    Source: AppKit, NSWorkspace setIcon:forFile:options:, by JavaScript for Automation.
    """

    def script(image: str) -> tuple[str, ...]:
        text = (
            "ObjC.import('AppKit');"
            f"$.NSWorkspace.sharedWorkspace.setIconForFileOptions({image}, {json.dumps(str(folder))}, 0)"
        )
        return ("osascript", "-l", "JavaScript", "-e", text)

    image = f"$.NSImage.alloc.initWithContentsOfFile({json.dumps(str(icon))})"
    return [Command(script(image), script("$()"))]


# ---- the disk --------------------------------------------------------------------------------------------


def put(steps: Iterable[Step]) -> None:
    """Raises LocalProblem.  What is there already stays as it is."""
    for step in steps:
        match step:
            case File(path=path, data=data):
                _write(path, data)
            case Line(path=path):
                lines = _lines(path)
                if not any(_is(step, line) for line in lines):
                    _write(path, "".join(f"{line}\n" for line in [*lines, step.begins + step.rest]).encode())
            case Command(on=on):
                _run(on)


def take_away(steps: Sequence[Step]) -> None:
    """Raises LocalProblem.  What is not there is no failure."""
    for step in reversed(steps):
        match step:
            case File(path=path):
                _remove(path)
            case Line(path=path):
                lines = _lines(path)
                left = [line for line in lines if not _is(step, line)]
                if left != lines:
                    _write(path, "".join(f"{line}\n" for line in left).encode())
            case Command(off=off):
                _run(off)


def is_there(steps: Iterable[Step]) -> bool:
    """Whether all files are there, just as they are to be."""
    for step in steps:
        if isinstance(step, File):
            try:
                if step.path.read_bytes() != step.data:
                    return False
            except OSError:
                return False
    return True


def _is(step: Line, line: str) -> bool:
    return line == step.begins or line.startswith(step.begins + " ")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be read ({error.strerror})", hint="See who may read it."
        ) from error


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise LocalProblem(
            f"{path} cannot be written ({error.strerror})", hint="See who may write there."
        ) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalProblem(
            f"{path} cannot be removed ({error.strerror})", hint="See who may write there."
        ) from error


def _run(command: tuple[str, ...]) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(  # noqa: S603 - our own words, and one path
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
