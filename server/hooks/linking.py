"""Links in the folder of a cohort: made, renewed and taken away.

Owns: the operations of one step and what is noted of them, the folder that a new cohort gets.
May import: the standard library, sqlalchemy, protocol, server.access, server.catalog, server.chunks, server.database,
server.hooks, server.spaces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from protocol.errors import Refused
from protocol.ids import NodeId
from protocol.messages import AnyOp, Committed, Delete, Kind, Make, Put, Revision
from server.access.cursors import Cursors
from server.access.new_spaces import fresh_id
from server.access.rights import ReadableView
from server.catalog import carrying
from server.catalog.cohorts import Definition
from server.chunks.store import ChunkStore
from server.database.session import insert_rows, rows_of_sql
from server.database.tables import CohortLinkRow, ProvenanceRow
from server.hooks.committing import FILLING, commit_as
from server.hooks.fitting import Difference, Wanted, is_ours
from server.hooks.placing import FOLDER, Places, child_named
from server.spaces.rows import load_with_ancestors, versions_named
from server.spaces.staging import StagedNode

AT_ONCE = 100  # files of one transaction
_BLOCK, _BLOCK_VERSION = "cohort", "1"  # as provenance names it


@dataclass
class Step:
    """The operations of one transaction, and what is to be noted of them."""

    session: Session
    cohort: Definition
    now_ms: int
    ops: list[AnyOp] = field(default_factory=list)
    _brought: list[tuple[int, Wanted]] = field(default_factory=list)  # by the number of the operation
    _dropped: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._places = Places(self.session, self.cohort.space, self.ops, self.now_ms)

    def entries_of(self, missing: Difference) -> set[int]:
        """Of the files whose links are too much."""
        rows = [
            rows_of_sql(
                self.session,
                "SELECT entry FROM catalog_files WHERE space = ? AND node = ?",
                self.cohort.space,
                source,
            )
            for source in missing.too_much[:AT_ONCE]
        ]
        return {row.entry for found in rows for row in found}

    def take_away(self, sources: Sequence[bytes], fitting: Mapping[bytes, Revision]) -> None:
        """Links of what fits no more; one that a person changed stays, as theirs."""
        links = self._links(sources)
        nodes = self._nodes(link.node for link in links.values())
        for source, link in links.items():
            if source in fitting:
                continue
            node = nodes.get(link.node)
            if node is not None and is_ours(node, link, nodes, self.cohort):
                self.ops.append(
                    Delete(node=UUID(bytes=node.id), place_revision=node.place, content_revision=node.content)
                )
            self._dropped.append(source)

    def bring(self, one: Wanted) -> None:
        """A link, or a new version of the one that there is."""
        content = versions_named(
            self.session, self.cohort.space, [(one.source, one.revision.epoch, one.revision.number)]
        )
        [found] = content.values()
        link = self._links([one.source]).get(one.source)
        if link is None:
            *folders, name = one.place
            parent = self._places.folder(self.cohort.folder, folders)
            made = fresh_id(self.now_ms)
            name = self._places.take(parent, name, made)
            self._brought.append((len(self.ops), one))
            self.ops.append(Make(node=made, parent=parent, name=name, content=found.content))
            return
        nodes = self._nodes([link.node])
        node = nodes.get(link.node)
        if node is None or not is_ours(node, link, nodes, self.cohort):
            link.is_ours = False  # deleted, edited or moved out by a person
            link.source_epoch, link.source_number = one.revision.epoch, one.revision.number
            return
        self._brought.append((len(self.ops), one))
        self.ops.append(Put(node=UUID(bytes=node.id), content_revision=node.content, content=found.content))

    def finish(self, answer: Committed | None) -> None:
        """Write down what was done, in the same transaction."""
        cohort = self.cohort
        for source in self._dropped:
            mine = (CohortLinkRow.cohort == cohort.id.bytes) & (CohortLinkRow.source == source)
            self.session.execute(delete(CohortLinkRow).where(mine))
        digest = hashlib.sha256(cohort.query.encode()).digest()
        lineage = []
        for number, one in self._brought:
            assert answer is not None, "what was brought was committed"
            op, made = self.ops[number], answer.results[number].content_revision
            assert made is not None, "a file has a content"
            assert isinstance(op, Make | Put), "see bring"
            self.session.merge(
                CohortLinkRow(
                    cohort=cohort.id.bytes,
                    source=one.source,
                    space=cohort.space,
                    node=op.node.bytes,
                    epoch=made.epoch,
                    number=made.number,
                    source_epoch=one.revision.epoch,
                    source_number=one.revision.number,
                    is_ours=True,
                )
            )
            lineage.append(
                (
                    *(cohort.space, op.node.bytes, made.epoch, made.number, cohort.id.bytes),
                    *(cohort.space, one.source, one.revision.epoch, one.revision.number),
                    *(_BLOCK, _BLOCK_VERSION, digest, self.now_ms),
                )
            )
        insert_rows(self.session, ProvenanceRow, lineage, renew=True)
        self.session.flush()
        carrying.bring_along(self.session, [row[:4] for row in lineage])

    def _links(self, sources: Sequence[bytes]) -> dict[bytes, CohortLinkRow]:
        query = select(CohortLinkRow).where(
            CohortLinkRow.cohort == self.cohort.id.bytes, CohortLinkRow.source.in_(sources)
        )
        return {row.source: row for row in self.session.scalars(query)}

    def _nodes(self, nodes: Iterable[bytes]) -> dict[bytes, StagedNode]:
        return load_with_ancestors(self.session, self.cohort.space, nodes)


def make_folder(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    view: ReadableView,
    path: Sequence[str],
    *,
    now_ms: int,
    default_quota: int | None,
) -> NodeId:
    """The last of these folders, which is new; those above it are made where they are missing.

    Raises Refused: it is there already, or a file stands in the way.
    """
    ops: list[AnyOp] = []
    at: UUID = view.root
    is_new = False
    for depth, name in enumerate(path):
        there = None if is_new else child_named(session, view.space, at, name)
        if there is not None:
            at, kind = there
            if depth == len(path) - 1 or kind != Kind.FOLDER.value:
                raise Refused(f"There is a {name} already", hint="Choose another name for the cohort.")
            continue
        is_new, made = True, fresh_id(now_ms)
        ops.append(Make(node=made, parent=at, name=name, content=FOLDER))
        at = made
    commit_as(session, store, cursors, FILLING, view.space, ops, now_ms=now_ms, default_quota=default_quota)
    return NodeId(at)
