"""What an icon is of: a program that can be looked at, and that does what is clicked.

Owns: the interface between an icon and its program, showing one on this system's desktop.
May import: the standard library, protocol.errors, tray; what draws the icon where it is shown.
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import Protocol

from protocol.errors import LocalProblem
from sync_client.tray.menu import Action, Face
from sync_client.tray.notices import Notice


@dataclass(frozen=True, slots=True)
class Look:
    """At one moment.  busy: somebody may watch the numbers, so the next look is soon."""

    face: Face
    notices: tuple[Notice, ...] = ()
    busy: bool = False


class Program(Protocol):
    """One of ours, as its icon needs it.  The calls block and come one at a time, from any thread."""

    @property
    def id(self) -> str:
        """As desktops remember where its icon belongs."""

    @property
    def title(self) -> str:
        """As people call it."""

    @property
    def in_a_terminal(self) -> str:
        """The command that tells the same there."""

    def look(self) -> Look:
        """As it is now, and what is worth telling since the last look."""

    def act(self, action: Action) -> None:
        """Raises MedicalBlocksError."""


def show(program: Program, *, tells: bool) -> None:
    """Until somebody quits.  tells: whether notices are wanted.  Raises LocalProblem: there is no place for an icon."""
    if sys.platform == "linux":
        from sync_client.tray.on_linux import Tray  # noqa: PLC0415 - only Linux has its libraries
        from sync_client.tray.status_notifier import NoPanel  # noqa: PLC0415 - as above

        try:
            asyncio.run(Tray(program, tells=tells).run())
        except NoPanel as error:
            if not os.environ.get("DISPLAY"):
                raise LocalProblem(
                    f"There is no place for an icon: {error}",
                    hint=f"`{program.in_a_terminal}` says the same in a terminal; GNOME needs its AppIndicator"
                    " extension.",
                ) from error
        else:
            return
    from sync_client.tray import elsewhere  # noqa: PLC0415 - only where it is needed

    elsewhere.run(program, tells=tells)
