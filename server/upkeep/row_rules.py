"""What must hold among rows, each as a query for the rows that break it.

Owns: these queries and their sentences.  May import: sqlalchemy, protocol, server.database.

Nodes are named by their ids, never by their names.  Text that is the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from protocol.names import name_key, refusal
from server.database.facts import epoch_of
from server.database.tables import NodeRow

_NO_PARENT = bytes(16)
_PAGE_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is broken.  code: of the rule, for scripts."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """sql: the broken rows; `:none` is the parent of a root, `:epoch` the server's.  says: of one row."""

    code: str
    says: str
    sql: str


_RULES = (
    # ---- spaces and views
    _Rule(
        "space-root",
        "Space {} has no live folder as its root",
        "SELECT s.id FROM spaces s LEFT JOIN nodes n ON n.space = s.id AND n.id = s.root"
        " WHERE n.id IS NULL OR n.parent <> :none OR n.kind <> 'folder' OR n.deleted_at_ms IS NOT NULL",
    ),
    _Rule(
        "space-stamp",
        "Space {} counts to {}, and a node is stamped {}",
        "SELECT s.id, s.stamp, max(n.stamp) FROM spaces s JOIN nodes n ON n.space = s.id"
        " GROUP BY s.id, s.stamp HAVING max(n.stamp) > s.stamp",
    ),
    _Rule(
        "space-purged-stamp",
        "Space {} counts to {}, and its trash is purged up to {}",
        "SELECT id, stamp, purged_stamp FROM spaces WHERE purged_stamp > stamp",
    ),
    _Rule(
        "space-used-bytes",
        "Space {} says it uses {} bytes; its current versions have {}",
        "SELECT id, used_bytes, held FROM (SELECT s.id, s.used_bytes, coalesce((SELECT sum(v.size)"
        " FROM nodes n JOIN versions v ON v.space = n.space AND v.node = n.id AND v.epoch = n.content_epoch"
        " AND v.number = n.content_number WHERE n.space = s.id), 0) AS held FROM spaces s) AS sums"
        " WHERE used_bytes <> held",
    ),
    _Rule(
        "view-root",
        "View {} has no live folder as its root",
        "SELECT v.id FROM views v LEFT JOIN nodes n ON n.space = v.space AND n.id = v.root"
        " WHERE n.kind <> 'folder' OR (v.kind <> 'folder' AND (n.id IS NULL OR n.deleted_at_ms IS NOT NULL))",
    ),
    _Rule(
        "view-of-space",
        "Space {} and its view {} are not of one kind, or have two roots",
        "SELECT s.id, v.id FROM spaces s LEFT JOIN views v ON v.space = s.id AND v.root = s.root"
        " WHERE v.id IS NULL OR v.kind <> s.kind OR (v.owner IS NULL) = (v.kind = 'home')",
    ),
    _Rule(
        "view-stamp",
        "View {} of space {} moved at a stamp that was not given yet",
        "SELECT v.id, v.space FROM views v JOIN spaces s ON s.id = v.space WHERE v.stamp > s.stamp",
    ),
    _Rule(
        "border-crossing",
        "A border crossing of view {} has stamp {}, which was not given yet",
        "SELECT c.view, c.stamp FROM border_crossings c JOIN views v ON v.id = c.view"
        " JOIN spaces s ON s.id = v.space WHERE c.stamp > s.stamp",
    ),
    # ---- rights
    _Rule(
        "grant-node",
        "A role was given on node {} of space {}, which is no folder",
        "SELECT g.node, g.space FROM grants g JOIN nodes n ON n.space = g.space AND n.id = g.node"
        " WHERE n.kind <> 'folder'",
    ),
    _Rule(
        "grant-principal",
        "A role on node {} of space {} was given to somebody who is not there",
        "SELECT g.node, g.space FROM grants g WHERE"
        " (g.principal_kind = 'user' AND NOT EXISTS (SELECT 1 FROM users WHERE id = g.principal))"
        " OR (g.principal_kind = 'team' AND NOT EXISTS (SELECT 1 FROM teams WHERE id = g.principal))"
        " OR (g.principal_kind = 'project' AND NOT EXISTS (SELECT 1 FROM projects WHERE id = g.principal))"
        " OR g.principal_kind NOT IN ('user', 'team', 'project')",
    ),
    _Rule(
        "grant-intake",
        "A role on node {} of space {} is one for an intake and it is none, or the other way round",
        "SELECT g.node, g.space FROM grants g JOIN spaces s ON s.id = g.space"
        " WHERE (g.role IN ('clinician', 'reviewer')) <> (s.kind = 'intake')",
    ),
    _Rule(
        "grant-view",
        "A role was given on node {} of space {}, and there is no view of it",
        "SELECT g.node, g.space FROM grants g LEFT JOIN views v ON v.space = g.space AND v.root = g.node"
        " WHERE v.id IS NULL",
    ),
    _Rule(
        "arrival",
        "An arrival in space {} names node {}, which is not there, or a stamp that was not given yet",
        "SELECT a.space, a.node FROM arrivals a JOIN spaces s ON s.id = a.space"
        " LEFT JOIN nodes n ON n.space = a.space AND n.id = a.node WHERE n.id IS NULL OR a.stamp > s.stamp",
    ),
    _Rule(
        "code-view",
        "Sync code {} is for node {} of space {}, and there is no view of it",
        "SELECT c.name, c.node, c.space FROM codes c LEFT JOIN views v ON v.space = c.space AND v.root = c.node"
        " WHERE v.id IS NULL OR v.kind IN ('intake', 'home')",
    ),
    _Rule(
        "code-devices",
        "Sync code {} let in {} devices, more than it allows",
        "SELECT c.name, count(*) FROM codes c JOIN code_devices d ON d.code = c.id AND d.approved"
        " GROUP BY c.id, c.name, c.devices HAVING count(*) > c.devices",
    ),
    # ---- the tree
    _Rule(
        "node-kind",
        "Node {} of space {} is of an unknown kind",
        "SELECT id, space FROM nodes WHERE kind NOT IN ('file', 'folder', 'link')",
    ),
    _Rule(
        "node-parent",
        "Node {} of space {} has no folder as its parent",
        "SELECT n.id, n.space FROM nodes n JOIN spaces s ON s.id = n.space"
        " LEFT JOIN nodes p ON p.space = n.space AND p.id = n.parent"
        " WHERE n.id <> s.root AND (p.id IS NULL OR p.kind <> 'folder')",
    ),
    _Rule(
        "node-cycle",
        "Node {} of space {} cannot be reached from the root",
        "WITH RECURSIVE tree(space, id) AS (SELECT id, root FROM spaces"
        " UNION SELECT n.space, n.id FROM tree t JOIN nodes n ON n.space = t.space AND n.parent = t.id)"
        " SELECT n.id, n.space FROM nodes n LEFT JOIN tree t ON t.space = n.space AND t.id = n.id"
        " WHERE t.id IS NULL",
    ),
    _Rule(
        "node-name-held",
        "Node {} of space {} is deleted and holds its name, or live and does not",
        "SELECT id, space FROM nodes WHERE (deleted_at_ms IS NULL) <> (name_key IS NOT NULL)",
    ),
    _Rule(
        "node-revision",
        "Node {} of space {} has a revision that was never given",
        "SELECT id, space FROM nodes WHERE place_number < 1 OR content_number < 1 OR place_epoch < 1"
        " OR content_epoch < 1 OR place_epoch > :epoch OR content_epoch > :epoch",
    ),
    _Rule(
        "node-version",
        "Node {} of space {} has no version of its current content",
        "SELECT n.id, n.space FROM nodes n LEFT JOIN versions v ON v.space = n.space AND v.node = n.id"
        " AND v.epoch = n.content_epoch AND v.number = n.content_number"
        " WHERE n.kind <> 'folder' AND v.node IS NULL",
    ),
    # ---- versions and what they hold
    _Rule(
        "version-node",
        "Space {} has a version of node {}, which is not there or a folder",
        "SELECT v.space, v.node FROM versions v LEFT JOIN nodes n ON n.space = v.space AND n.id = v.node"
        " WHERE n.id IS NULL OR n.kind = 'folder'",
    ),
    _Rule(
        "version-newer",
        "Node {} of space {} has a version newer than its current one",
        "SELECT n.id, n.space FROM nodes n JOIN versions v ON v.space = n.space AND v.node = n.id"
        " WHERE v.epoch > n.content_epoch OR (v.epoch = n.content_epoch AND v.number > n.content_number)",
    ),
    _Rule(
        "chunk-place",
        "Chunk {} is said to lie outside of its pack {}",
        "SELECT c.id, c.pack FROM chunks c LEFT JOIN packs p ON p.id = c.pack"
        " WHERE p.id IS NULL OR c.offset < 16 OR c.offset + c.stored_length > p.size",
    ),
    _Rule(
        "chunk-length",
        "The copies of chunk {} have different lengths",
        "SELECT id FROM chunks GROUP BY id HAVING min(length) <> max(length)",
    ),
    _Rule(
        "possession-chunk",
        "Device {} has a lease on chunk {}, which is not stored",
        "SELECT p.device, p.chunk FROM possessions p WHERE NOT EXISTS"
        " (SELECT 1 FROM chunks c WHERE c.id = p.chunk)",
    ),
    _Rule(
        "possession-space",
        "Chunk {}, which device {} sent, counts in space {}, which is not there, or for less than nothing",
        "SELECT p.chunk, p.device, p.space FROM possessions p LEFT JOIN spaces s ON s.id = p.space"
        " WHERE (p.space IS NOT NULL AND s.id IS NULL) OR p.growing_bytes < 0 OR p.replacing_bytes < 0",
    ),
)


def broken_rows(session: Session) -> Iterator[Finding]:
    arguments: Mapping[str, Any] = {"none": _NO_PARENT, "epoch": epoch_of(session)}
    for rule in _RULES:
        used = {name: value for name, value in arguments.items() if f":{name}" in rule.sql}
        for row in session.execute(text(rule.sql), used):
            yield Finding(rule.code, rule.says.format(*[_shown(value) for value in row]))


def broken_names(session: Session) -> Iterator[Finding]:
    """Live names whose key is not theirs (twins could stand side by side), or that no system may hold."""
    query = select(NodeRow.space, NodeRow.id, NodeRow.name, NodeRow.name_key).where(
        NodeRow.deleted_at_ms.is_(None), NodeRow.parent != _NO_PARENT
    )
    for space, node, name, key in session.execute(query.execution_options(yield_per=_PAGE_ROWS)):
        if name_key(name) != key:
            yield Finding(
                "node-name-key", f"Node {node.hex()} of space {space} has a key that is not its name's"
            )
        if refusal(name) is not None:
            yield Finding(
                "node-name", f"Node {node.hex()} of space {space} has a name that no system may hold"
            )


def broken_file(session: Session, *, deep: bool) -> Iterator[Finding]:
    """What SQLite itself finds in its file; nothing to ask elsewhere."""
    if session.get_bind().dialect.name != "sqlite":
        return
    for [words] in session.execute(text("PRAGMA integrity_check" if deep else "PRAGMA quick_check")):
        if words != "ok":
            yield Finding("database", f"SQLite says: {words}")
    for table, *_ in session.execute(text("PRAGMA foreign_key_check")):
        yield Finding("database", f"A row of table {table} points to one that is not there")


def _shown(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value
