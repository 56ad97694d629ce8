"""A rule on files that somebody chose: again, or for the first time where the rule left them alone.

Owns: which jobs these are.
May import: sqlalchemy, protocol, server.database, server.hooks, server.spaces.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from protocol.errors import NotFound
from protocol.ids import NodeId
from server.database.session import rows_of_sql
from server.hooks import turns
from server.hooks.numbers import draw_number
from server.hooks.rules import Rule
from server.hooks.turns import Tier
from server.hooks.units import is_within
from server.spaces.rows import LIVE_BELOW, load_with_ancestors

_CHOSEN = (
    f"{LIVE_BELOW}, chosen(space, id) AS (SELECT space, id FROM below UNION SELECT ?, ?)"  # noqa: S608 - constants
    " SELECT nodes.id, nodes.parent, nodes.kind, nodes.content_epoch AS epoch, nodes.content_number AS number"
    " FROM chosen JOIN nodes ON nodes.space = chosen.space AND nodes.id = chosen.id WHERE nodes.kind = 'file'"
)
_MAKE = (
    "INSERT INTO jobs (id, rule, node, epoch, number, rank, state, tries, due_at_ms, reasons, is_released, made_at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, '[]', 0, ?)"
    " ON CONFLICT (rule, node, epoch, number) DO UPDATE SET state = 'waiting', tries = 0, rank = excluded.rank,"
    " due_at_ms = excluded.due_at_ms, is_released = 0, digest = NULL"
    " WHERE jobs.state NOT IN ('running', 'waiting', 'rejected')"
)


def run_chosen(session: Session, rule: Rule, node: NodeId, *, now_ms: int) -> int:
    """This file, or all below this folder, as far as they lie in the rule's folder; of how many.

    What is at work goes on, and what a reviewer rejected stays so.  A rule on folders does those that the files lie in.
    Raises NotFound: no live file of the rule's folder is meant.
    """
    space = rule.source.space
    rows = rows_of_sql(session, _CHOSEN, space, node.bytes, space, node.bytes)
    nodes = load_with_ancestors(session, space, [row.id for row in rows])
    mine = [row for row in rows if is_within(nodes, row.id, rule.source.node.bytes)]
    if not mine:
        raise NotFound(
            "None of the rule's files lies there", hint="Name a file or a folder in the folder of the rule."
        )
    wanted = {row.id: (row.epoch, row.number) for row in mine}
    if rule.settle_ms is not None:
        folders = {row.parent for row in mine}
        wanted = {one: (nodes[one].content.epoch, nodes[one].content.number) for one in folders}
    rank = turns.rank_of(rule.priority, Tier.NEW)
    for one, version in wanted.items():
        values = (draw_number(session), rule.id.bytes, one, *version, rank, now_ms, now_ms)
        session.connection().exec_driver_sql(_MAKE, values)
    session.flush()
    return len(mine)


def run_chosen_at(session: Session, rule: Rule, nodes: list[tuple[int, bytes]], *, now_ms: int) -> int:
    """As `run_chosen`, of the first of these that lies in the rule's space.  nodes: space and node of a path."""
    for space, node in nodes:
        if space == rule.source.space:
            return run_chosen(session, rule, NodeId(UUID(bytes=node)), now_ms=now_ms)
    raise NotFound("That is no place of the rule's folder", hint="`mb-server rule list` shows its folder.")
