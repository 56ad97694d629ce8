"""A place on the server, as a person names it: by its remote path, or by a path of this computer that is followed.

Owns: telling the two apart, the way from the second to the first, the node of a remote path.
May import: protocol, home, operations, folders, reach.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from protocol.errors import NotFound
from sync_client.commands.folders import view_of
from sync_client.commands.reach import reach
from sync_client.home import ClientHome
from sync_client.operations import ROOTS, parse_remote

if TYPE_CHECKING:
    from uuid import UUID

    from protocol.http import ServerApi
    from protocol.messages import View


def remote_at(home: ClientHome, where: str) -> str:
    """The remote path of `where`.  Raises BadRequest: no such path can be.  Raises NotFound: see `_remote_of`."""
    return parse_remote(where) if _is_remote(where) else _remote_of(home, where)


async def node_at(api: ServerApi, remote: str) -> tuple[View, UUID]:
    """The view that a remote file or folder lies in, and its node.  Raises NotFound."""
    view, inside = view_of((await api.views()).views, remote)
    return view, (await api.listing(view.view, inside)).node


def _is_remote(where: str) -> bool:
    return where.startswith(tuple(f"/{root}/" for root in ROOTS)) or where == "/Home"


def _remote_of(home: ClientHome, where: str) -> str:
    """Raises NotFound: it lies in no followed folder."""
    local = os.path.realpath(os.path.expanduser(where))
    for folder in reach(home, "status")["folders"]:
        followed = os.path.realpath(folder["local"])
        if local == followed or local.startswith(followed + os.sep):
            inside = local[len(followed) :].replace(os.sep, "/")
            return str(folder["remote"]) + inside
    raise NotFound(
        "This is no remote folder, and in no followed folder",
        hint="Write /Home/…, /Projects/NAME/… or /Shared/NAME/…, or a path in a folder of `mb-sync status`.",
    )
