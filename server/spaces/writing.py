"""What a batch changed, written.

Owns: the order of the writes, and stamps.
May import: sqlalchemy, protocol, server.database, server.spaces.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from protocol.ids import SpaceId
from server.database.session import in_groups, insert_rows
from server.database.tables import ArrivalRow, ChunkUseRow, NodeRow, VersionRow
from server.spaces.deciding import Circumstances
from server.spaces.rows import pack_lengths
from server.spaces.staging import StagedTree


def write_tree(
    session: Session, space: SpaceId, tree: StagedTree, around: Circumstances, *, stamp: int
) -> None:
    """Write all that changed in `tree`.

    stamp: of the space so far; each changed node gets one of its own.  A batch that only adds older versions
    moves the stamp too: gc looks there for what began to use a chunk.
    """
    if not tree.changed and not tree.versions:
        return
    stamps = {node: stamp + count for count, node in enumerate(tree.changed, start=1)}
    _park(session, space, tree)
    insert_rows(
        session,
        NodeRow,
        [_node_values(space, tree, node, node_stamp, around) for node, node_stamp in stamps.items()],
        renew=True,
    )
    _write_versions(session, space, tree, around)
    insert_rows(session, ArrivalRow, [(space, stamps[node], node) for node in dict.fromkeys(tree.arrivals)])
    session.connection().exec_driver_sql(
        "UPDATE spaces SET stamp = ?, used_bytes = used_bytes + ? WHERE id = ?",
        (stamp + max(1, len(stamps)), tree.used_bytes, space),
    )


def _park(session: Session, space: SpaceId, tree: StagedTree) -> None:
    """Free the names of all that moves: a unique index is checked row by row, in the middle of a swap too."""
    for group in in_groups(tree.displaced()):
        session.execute(
            update(NodeRow)
            .where(NodeRow.space == space, NodeRow.id.in_(group))
            .values(name_key=None)
            .execution_options(synchronize_session=False)
        )


def _node_values(
    space: SpaceId, tree: StagedTree, node: bytes, stamp: int, around: Circumstances
) -> tuple[object, ...]:
    """In the order of NodeRow's columns."""
    row = tree.nodes[node]
    return (
        space,
        row.id,
        row.parent,
        row.name,
        row.name_key,
        row.kind.value,
        row.place.epoch,
        row.place.number,
        row.content.epoch,
        row.content.number,
        row.place_operation,
        row.content_operation,
        stamp,
        around.now_ms,
        row.changed_by,
        row.deleted_at_ms,
        row.conflict_of,
        row.conflict_device,
    )


def _write_versions(session: Session, space: SpaceId, tree: StagedTree, around: Circumstances) -> None:
    versions: list[tuple[object, ...]] = []
    uses: list[tuple[object, ...]] = []
    for version in tree.versions:
        node, revision, content = version.node, version.revision, version.content
        versions.append(
            (
                space,
                node,
                revision.epoch,
                revision.number,
                content.manifest.size,
                content.mtime_ns,
                content.executable,
                content.manifest.chunks,
                pack_lengths(content.manifest.lengths),
                content.manifest.indirect,
                around.operation,
                around.device,
                around.now_ms,
            )
        )
        uses += [(space, chunk, node, revision.epoch, revision.number) for chunk in version.uses]
    insert_rows(session, VersionRow, versions)
    insert_rows(session, ChunkUseRow, uses)
