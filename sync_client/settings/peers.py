"""Whose connection it is: on a computer with several people the loopback address belongs to all of them.

Owns: finding the user behind a connection of this computer, where the system tells it (Linux).
May import: the standard library.

Other users cannot read the token out of a browser, but the line that starts the browser stands in the list of
processes for a moment.  So where it can be known, a connection of another user is turned away, token or not.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

_TABLE = Path("/proc/net/tcp")

Address = tuple[str, int]


def is_of_this_user(here: Address, there: Address) -> bool:
    """here: our end of a connection over 127.0.0.1.  True where the system does not tell."""
    if sys.platform != "linux":
        return True
    try:
        table = _TABLE.read_text("ascii")
    except OSError:
        return True
    return user_of(table, there, here) == os.getuid()


def user_of(table: str, local: Address, remote: Address) -> int | None:
    """The user who holds the socket with these ends, as /proc/net/tcp tells (proc(5)); None: there is none."""
    wanted = [_written(local), _written(remote)]
    for line in table.splitlines()[1:]:
        words = line.split()
        if words[1:3] == wanted:
            return int(words[7])
    return None


def _written(address: Address) -> str:
    [number] = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
