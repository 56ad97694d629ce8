"""From a remote path, as people write it, to a view and a node.

Owns: finding and making remote folders.  May import: protocol, engine.batches.
"""

from __future__ import annotations

from protocol.errors import LocalProblem, NotFound
from protocol.http import ServerApi
from protocol.ids import NodeId
from protocol.messages import Content, Kind, Make, Status, View
from sync_client.engine.batches import commit
from sync_client.engine.database import StateDatabase
from sync_client.engine.looking import fresh_node


async def find_remote(
    api: ServerApi, state: StateDatabase, remote: str, *, create: bool
) -> tuple[View, NodeId]:
    """The view that holds the folder, and the folder's node.  create: make what is missing of its path.

    Raises LocalProblem: there is no such folder.
    """
    views = (await api.views()).views
    fitting = [view for view in views if remote == view.name or remote.startswith(view.name + "/")]
    if not fitting:
        raise _missing(remote, hint="`mb-sync ls /` shows what there is.")
    view = max(fitting, key=lambda one: len(one.name))
    names = [name for name in remote[len(view.name) :].split("/") if name]
    node, found = NodeId(view.root), 0
    for found in range(len(names), -1, -1):
        try:
            listing = await api.listing(view.view, "/" + "/".join(names[:found]))
        except NotFound:
            continue
        node = NodeId(listing.node)
        break
    missing = names[found:]
    if missing and not create:
        raise _missing(remote, hint="Add --create to make it.")
    for name in missing:
        made = fresh_node()
        [result] = await commit(
            api,
            state,
            view.view,
            [Make(node=made, parent=node, name=name, content=Content(kind=Kind.FOLDER))],
        )
        if result.status is not Status.DONE:
            raise LocalProblem(
                f"{remote} could not be made on the server ({result.message or result.status})",
                hint="Choose another name.",
            )
        node = made
    return view, node


def _missing(remote: str, *, hint: str) -> LocalProblem:
    return LocalProblem(f"There is no folder {remote} on the server", hint=hint)
