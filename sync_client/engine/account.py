"""Whose files are synced, from which computer.

Owns: the account value.  May import: protocol.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.ids import DeviceId
from protocol.trust import Trust


@dataclass(frozen=True, slots=True)
class Account:
    """A user on a server, signed in from this client home.  The token never shows in a repr.

    only_down: nothing of this computer is ever sent, whatever rights the server tells of, and no link is made.
    """

    server: str
    user: str
    token: str = field(repr=False)
    device: DeviceId
    device_name: str
    trust: Trust = field(default=Trust(), repr=False)
    only_down: bool = False
