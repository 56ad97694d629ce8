"""Rules that work on folders: a series needs all its slices, so its folder is what a run is about.

Owns: when a folder's job is due, which files a run is given, whether they are still the same when it ends.
May import: sqlalchemy, protocol, server.database, server.hooks, server.spaces.

There is one job for each folder that holds files.  Whatever changes among them (one comes, goes, is edited or moved)
makes it wait again until the folder has been at rest for as long as the block says; a run that is at it loses its
lease, and what it made counts no more.  docs/decisions/0010 says why not the files, nor a batch of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.database.session import rows_in, rows_of_sql
from server.database.tables import RuleRow, SpaceRow
from server.hooks import turns
from server.hooks.numbers import draw_number
from server.hooks.turns import Tier
from server.spaces.rows import LIVE_BELOW, load_with_ancestors
from server.spaces.staging import StagedNode

if TYPE_CHECKING:
    from server.hooks.jobs import Leased

MOST_FILES = 10_000
_PAGE = 1_000
_CHANGED = (  # also what was deleted
    "SELECT id, parent, kind, place_number, stamp FROM nodes WHERE space = ? AND stamp > ?"
    " ORDER BY stamp LIMIT ?"
)
_FOLDERS_BELOW = (
    f"{LIVE_BELOW} SELECT DISTINCT nodes.parent FROM below"  # noqa: S608 - constants
    " JOIN nodes ON nodes.space = ? AND nodes.id = below.id WHERE nodes.kind = 'file'"
)
_MADE_WITH = (
    "SELECT DISTINCT space, node FROM provenance WHERE rule = ? AND source_space = ? AND source_node IN"
)
_MADE_OF = "SELECT DISTINCT source FROM published WHERE rule = ? AND space = ? AND node = ?"
_MAKE = (
    "INSERT INTO jobs (id, rule, node, epoch, number, rank, state, tries, due_at_ms, reasons, is_released, made_at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, '[]', 0, ?)"
    " ON CONFLICT (rule, node, epoch, number) DO UPDATE SET state = 'waiting', tries = 0, rank = excluded.rank,"
    " due_at_ms = excluded.due_at_ms, is_released = 0, digest = NULL, lease = NULL, leased_until_ms = NULL"
)
_FILES = (
    "SELECT id, content_epoch, content_number FROM nodes WHERE space = ? AND parent = ? AND kind = 'file'"
    " AND deleted_at_ms IS NULL ORDER BY name_key LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a folder, in the version that a run was given."""

    node: NodeId
    revision: Revision


def follow(session: Session, row: RuleRow, *, now_ms: int) -> bool:
    """Have the folders wait in which something changed, by the next page of the feed; whether there is more."""
    assert row.settle_ms is not None, "a rule that works on folders"
    page = rows_of_sql(session, _CHANGED, row.space, row.seen_stamp, _PAGE)
    head: int = session.scalars(select(SpaceRow.stamp).where(SpaceRow.id == row.space)).one()
    folders: dict[bytes, Tier] = {}
    for one in page:
        tier = Tier.WAS_THERE if one.stamp <= row.made_stamp else Tier.NEW
        if one.kind == "folder" and one.place_number > 1:  # what lies in it has no new stamp
            found = rows_of_sql(session, _FOLDERS_BELOW, row.space, one.id, row.space)
            folders.update({folder: tier for (folder,) in found})
        elif one.kind == "file":
            folders[one.parent] = tier
    files = [one.id for one in page if one.kind == "file"]
    for made in rows_in(session, _MADE_WITH, row.id, row.space, among=files):  # wherever these lie now
        for (folder,) in rows_of_sql(session, _MADE_OF, row.id, made.space, made.node):
            folders.setdefault(folder, Tier.NEW)
    nodes = load_with_ancestors(session, SpaceId(row.space), folders)
    for folder, tier in folders.items():
        if is_within(nodes, folder, row.node):
            content = nodes[folder].content
            rank = turns.rank_of(row.priority, tier)
            due_at_ms = now_ms + row.settle_ms
            version = (content.epoch, content.number)
            values = (draw_number(session), row.id, folder, *version, rank, due_at_ms, now_ms)
            session.connection().exec_driver_sql(_MAKE, values)
    row.seen_stamp = page[-1].stamp if len(page) == _PAGE else head
    session.flush()
    return len(page) == _PAGE


def is_within(nodes: dict[bytes, StagedNode], folder: bytes, above: bytes) -> bool:
    """Whether it lives, and is `above` or lies below it."""
    at, is_below = nodes.get(folder), False
    for _ in range(len(nodes) + 1):
        if at is None or at.is_deleted:
            return at is None and is_below
        is_below = is_below or at.id == above
        at = nodes.get(at.parent)
    return False


def parts_of(session: Session, job: Leased) -> list[Part]:
    """The files that lie in the job's folder now, by their names; at most one more than `MOST_FILES`."""
    rows = rows_of_sql(session, _FILES, job.rule.source.space, job.node.bytes, MOST_FILES + 1)
    return [
        Part(NodeId(UUID(bytes=row.id)), Revision(epoch=row.content_epoch, number=row.content_number))
        for row in rows
    ]


def as_jobs(job: Leased, parts: Sequence[Part]) -> list[Leased]:
    """One for each file, numbered from 0: for what looks at the files of a run one by one."""
    return [
        replace(job, id=number, node=part.node, revision=part.revision) for number, part in enumerate(parts)
    ]
