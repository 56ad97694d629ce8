"""Where the new nodes of one batch go: in folders that are made as they are needed, under names that are free.

Owns: what a batch puts where, beside what stands there already.
May import: sqlalchemy, protocol, server.access, server.database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from protocol.messages import AnyOp, Content, Kind, Make
from protocol.names import name_key
from server.access.new_spaces import fresh_id
from server.database.session import rows_of_sql

FOLDER = Content(kind=Kind.FOLDER)
_CHILD = "SELECT id, kind FROM nodes WHERE space = ? AND parent = ? AND name_key = ?"


def child_named(session: Session, space: SpaceId, parent: UUID, name: str) -> tuple[UUID, str] | None:
    """The live node of this name in a folder, and its kind."""
    rows = rows_of_sql(session, _CHILD, space, parent.bytes, name_key(name))
    return (UUID(bytes=rows[0].id), rows[0].kind) if rows else None


@dataclass
class Places:
    """ops: of the batch; folders that are needed are added to it."""

    session: Session
    space: SpaceId
    ops: list[AnyOp]
    now_ms: int
    _made: dict[tuple[UUID, str], tuple[UUID, str]] = field(default_factory=dict)

    def folder(self, top: UUID, path: Sequence[str]) -> UUID:
        """The one at this path below `top`, made as far as it is missing, beside a file of its name with a number."""
        for name in path:
            top = self._folder(top, name)
        return top

    def take(self, parent: UUID, name: str, node: UUID) -> str:
        """A free name for this file, the wanted one if it is; from now on it is taken."""
        path, count, wanted = PurePosixPath(name), 1, name
        while self.at(parent, wanted) is not None:
            count += 1
            wanted = f"{path.stem}-{count}{path.suffix}"
        self._made[parent, name_key(wanted)] = node, Kind.FILE.value
        return wanted

    def at(self, parent: UUID, name: str) -> tuple[UUID, str] | None:
        """What stands under this name, in the tree or in this batch."""
        made = self._made.get((parent, name_key(name)))
        return made or child_named(self.session, self.space, parent, name)

    def _folder(self, parent: UUID, name: str) -> UUID:
        while (there := self.at(parent, name)) is not None:
            node, kind = there
            if kind == Kind.FOLDER.value:
                return node
            name = f"{name}-2"
        node = fresh_id(self.now_ms)
        self.ops.append(Make(node=node, parent=parent, name=name, content=FOLDER))
        self._made[parent, name_key(name)] = node, Kind.FOLDER.value
        return node
