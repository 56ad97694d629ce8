"""A folder is followed by one client.  Two at work in it would carry the files of one account to the other.

Owns: whose a folder is that is to be followed, the refusal, taking it over from a client that is no more.
May import: the standard library, msgspec, protocol, engine.account, engine.disk, engine.marker.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from protocol.errors import LocalProblem
from protocol.ids import DeviceId
from protocol.names import shown
from sync_client.engine.account import Account
from sync_client.engine.disk import PRIVATE, FollowedRoot
from sync_client.engine.marker import MARKER, MAX_WHO, Marker, read_marker

_HINT = (
    "Choose another folder, or stop following it there;"
    " if that client is no more, say `mb-sync add … --take-over`: it does nothing there from then on"
)


def who(account: Account) -> str:
    """For the marker: whoever wants to follow the folder too is told this."""
    user = f"whom {account.user} shared it with" if account.only_down else account.user
    return f"{user}, on {account.device_name}, with {account.server}"[:MAX_WHO]


def refuse_others(local: Path, device: DeviceId) -> None:
    """What another client follows, here or further down, is not for this one.  Changes nothing.

    device: this client home; what it left behind itself (a removal while the disk was away, a lost `state.db`) is no
    obstacle.  Raises LocalProblem.
    """
    for folder in _claimed(local):
        whose = _whose(folder, device)
        if whose is None:
            continue
        if folder == local:
            raise LocalProblem(f"{local} is followed already by another client: {whose}", hint=_HINT)
        raise LocalProblem(f"{local} contains {folder}, which another client follows: {whose}", hint=_HINT)


def let_go(local: Path, device: DeviceId) -> None:
    """No other client's marker stands any more, here or further down: if it lives after all it stops, and deletes
    nothing.  Raises LocalProblem: one may not be removed; then perhaps some are.
    """
    for folder in _claimed(local):
        if _whose(folder, device) is None:
            continue
        try:
            os.unlink(folder / MARKER)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LocalProblem(
                f"{folder / MARKER} cannot be removed ({error.strerror})",
                hint="Ask whoever it belongs to, or choose another folder.",
            ) from error


def _claimed(local: Path) -> Iterator[Path]:
    """Folders with something of a client's in them.  No link is followed; what may not be read is passed over."""
    waiting = [local]
    while waiting:
        folder = waiting.pop()
        with suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                if not entry.is_dir(follow_symlinks=False):
                    continue
                if entry.name == PRIVATE:
                    yield folder
                else:
                    waiting.append(Path(entry.path))


def _whose(folder: Path, device: DeviceId) -> str | None:
    """None: nobody's, or this client's own."""
    try:
        with FollowedRoot(folder) as root:
            marker = read_marker(root)
    except LocalProblem as error:  # there is one, and it proves no right of ours
        return f"whose is not known ({error.what})"
    except PermissionError:
        return f"another user of this computer{_owner(folder / PRIVATE)}"
    except OSError:
        return None  # went meanwhile
    if marker is None or marker.device == device:
        return None
    return shown(marker.who) or "whose is not known"


def _owner(path: Path) -> str:
    try:
        return f" ({shown(path.owner())})"
    except (OSError, KeyError, NotImplementedError):
        return ""


def claim(marker: Marker, account: Account) -> Marker:
    """The marker, as this client's."""
    return replace(marker, device=account.device, who=who(account))
