"""Starting at login, on each system in its own way.

Owns: what is written where, for Linux (systemd, else XDG), macOS and Windows, for each of our programs.
May import: the standard library, protocol.errors, own_program.

What is to be written is decided by pure functions; only `turn_on` and `turn_off` touch the system.
"""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import LocalProblem
from sync_client.own_program import own_program

RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


@dataclass(frozen=True, slots=True)
class Program:
    """One that can start at login.

    name: of the files that make it so.  title, about: what people read.  module: what `python -m` starts.
    has_window: it is seen on a desktop, so it starts with one and not before (systemd would start it without).
    """

    name: str
    title: str
    about: str
    module: str
    has_window: bool = False


@dataclass(frozen=True, slots=True)
class StartFile:
    """A file that makes the system start the program; link: beside it, a link that switches it on."""

    path: Path
    text: str
    link: Path | None = None


@dataclass(frozen=True, slots=True)
class RunValue:
    """A value of the registry's Run key."""

    name: str
    command: str


def start_at_login(
    program: Program,
    platform: str,
    command: Sequence[str],
    *,
    home: Path,
    variables: Mapping[str, str],
    has_systemd: bool,
) -> StartFile | RunValue:
    """What has to be there.  platform: as `sys.platform` says.  home: of the person."""
    if platform == "win32":
        return RunValue(program.name, subprocess.list2cmdline(command))
    if platform == "darwin":
        label = f"org.medical-blocks.{program.name.removeprefix('mb-')}"
        job = {
            "Label": label,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "ProcessType": "Background",
        }
        path = home / "Library" / "LaunchAgents" / f"{label}.plist"
        return StartFile(path, plistlib.dumps(job).decode())
    settings = variables.get("XDG_CONFIG_HOME", "").strip()
    config = Path(settings) if settings.startswith("/") else home / ".config"
    if has_systemd and not program.has_window:
        units = config / "systemd" / "user"
        unit = f"{program.name}.service"
        return StartFile(units / unit, _unit(program, command), units / "default.target.wants" / unit)
    return StartFile(config / "autostart" / f"{program.name}.desktop", _desktop_entry(program, command))


def _unit(program: Program, command: Sequence[str]) -> str:
    words = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in command)
    return (
        f"[Unit]\nDescription={program.about}\n\n"
        f"[Service]\nExecStart={words.replace('%', '%%').replace('$', '$$')}\n"
        "Restart=on-failure\nRestartSec=30\nRestartPreventExitStatus=1\n\n"  # 1: every code has ended
        "[Install]\nWantedBy=default.target\n"
    )


def _desktop_entry(program: Program, command: Sequence[str]) -> str:
    def quoted(word: str) -> str:
        for sign in '\\"`$':
            word = word.replace(sign, "\\" + sign)
        return '"' + word.replace("%", "%%").replace("\\", "\\\\") + '"'

    words = " ".join(map(quoted, command))
    return (
        f"[Desktop Entry]\nType=Application\nName={program.title}\nComment={program.about}\n"
        f"Exec={words}\nTerminal=false\n"
    )


def own_command(program: Program, home: Path) -> list[str]:
    """What starts this program again with this home."""
    return [*own_program(program.module), "--home", str(home)]


def turn_on(wanted: StartFile | RunValue) -> str:
    """Where it stands now.  Raises LocalProblem."""
    if isinstance(wanted, RunValue):
        return _set_run_value(wanted.name, wanted.command)
    try:
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        wanted.path.write_text(wanted.text, encoding="utf-8")
        if wanted.link is not None:
            wanted.link.parent.mkdir(parents=True, exist_ok=True)
            wanted.link.unlink(missing_ok=True)
            wanted.link.symlink_to(wanted.path)
    except OSError as error:
        raise LocalProblem(
            f"{wanted.path} cannot be written ({error.strerror})", hint="See who may write there."
        ) from error
    return str(wanted.path)


def turn_off(wanted: StartFile | RunValue) -> str:
    """Where it stood.  Raises LocalProblem."""
    if isinstance(wanted, RunValue):
        return _set_run_value(wanted.name, None)
    try:
        for path in (wanted.link, wanted.path):
            if path is not None:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalProblem(
            f"{wanted.path} cannot be removed ({error.strerror})", hint="See who may write there."
        ) from error
    return str(wanted.path)


def is_on(wanted: StartFile | RunValue) -> bool:
    """Whether it stands there, whatever it says."""
    if isinstance(wanted, StartFile):
        return wanted.path.exists()
    if sys.platform != "win32":
        return False
    import winreg  # noqa: PLC0415 - Windows has it

    with suppress(FileNotFoundError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
        winreg.QueryValueEx(key, wanted.name)
        return True
    return False


def _set_run_value(name: str, command: str | None) -> str:
    """None: there shall be none."""
    if sys.platform != "win32":
        raise LocalProblem("This system has no registry", hint="Nothing was changed.")
    import winreg  # noqa: PLC0415 - Windows has it

    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
        if command is not None:
            winreg.SetValueEx(key, name, 0, winreg.REG_SZ, command)
        else:
            with suppress(FileNotFoundError):
                winreg.DeleteValue(key, name)
    return rf"HKEY_CURRENT_USER\{RUN_KEY}\{name}"
