"""How much lies in each folder, so that a person knows what a tick costs.

Owns: sizes of what is on this computer (from `state.db`, in one statement) and of what is on the server (walked there,
with an end).
May import: the standard library, protocol, doctor.looking (reading `state.db` beside the client), home.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from uuid import UUID

from protocol.http import ServerApi
from protocol.messages import Kind
from sync_client.doctor.looking import read_state
from sync_client.home import ClientHome

MAX_PAGES = 30  # asked of the server for one folder: what is larger is told as "more than"

_BELOW = """
WITH RECURSIVE below(top, node) AS (
    SELECT node, node FROM nodes WHERE folder = :folder AND l_parent = :parent
    UNION ALL
    SELECT below.top, nodes.node FROM below JOIN nodes ON nodes.folder = :folder AND nodes.l_parent = below.node
)
SELECT below.top, coalesce(sum(nodes.size), 0), count(nodes.size)
FROM below JOIN nodes ON nodes.folder = :folder AND nodes.node = below.node GROUP BY below.top
"""


@dataclass(frozen=True, slots=True)
class Size:
    """is_whole: False where there is more that was not counted."""

    files: int
    size_bytes: int
    is_whole: bool = True


def sizes_here(home: ClientHome, local: str, parent: UUID | None) -> dict[UUID, Size]:
    """Of each child that lies on this disk.  parent: a folder's node; None: the followed folder itself."""

    def look(database: sqlite3.Connection) -> dict[UUID, Size]:
        found = database.execute("SELECT id, root FROM folders WHERE local = ?", (local,)).fetchone()
        if found is None:
            return {}
        folder, root = found
        rows = database.execute(
            _BELOW, {"folder": folder, "parent": root if parent is None else parent.bytes}
        )
        return {UUID(bytes=node): Size(files, size) for node, size, files in rows}

    try:
        return read_state(home, look) or {}
    except sqlite3.Error:  # it is being made, or is damaged: the client says so itself
        return {}


async def size_there(api: ServerApi, view: UUID, inside: str) -> Size:
    """Of a folder of the server, as far as so many pages go."""
    files = size = pages = 0
    pending = [(inside, "")]
    while pending:
        if pages == MAX_PAGES:
            return Size(files, size, is_whole=False)
        path, after = pending.pop()
        page = await api.listing(view, path, after)
        pages += 1
        if page.next:
            pending.append((path, page.next))
        for item in page.items:
            if item.kind is Kind.FOLDER:
                pending.append((f"{path.rstrip('/')}/{item.name}", ""))
            else:
                files, size = files + 1, size + item.size
    return Size(files, size)
