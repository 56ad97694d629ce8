"""Links in the folder of a cohort: made, renewed and taken away.

Owns: the operations of one step and what is noted of them, the folders they need, on whose behalf they are committed.
May import: the standard library, sqlalchemy, protocol, server.access, server.catalog, server.chunks, server.database,
server.hooks.fitting, server.spaces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.errors import Refused, Unavailable
from protocol.ids import NodeId, SpaceId, UserId, ViewId
from protocol.messages import AnyOp, Commit, Committed, Content, Delete, Kind, Make, Put, Revision, Status
from protocol.names import name_key
from server.access.cursors import Cursors
from server.access.devices import COHORTS
from server.access.new_spaces import fresh_id
from server.access.rights import Principal, ReadableView, Role
from server.catalog import carrying
from server.catalog.cohorts import Definition
from server.chunks.store import ChunkStore
from server.database.session import insert_rows, rows_of_sql
from server.database.tables import BatchRow, CohortLinkRow, ProvenanceRow, SpaceRow, ViewRow
from server.hooks.fitting import Difference, Wanted, is_ours
from server.spaces.commit import commit
from server.spaces.rows import load_with_ancestors, versions_named
from server.spaces.staging import StagedNode

AT_ONCE = 100  # files of one transaction
CHILD = "SELECT id, kind FROM nodes WHERE space = ? AND parent = ? AND name_key = ?"
_BLOCK, _BLOCK_VERSION = "cohort", "1"  # as provenance names it
_FOLDER = Content(kind=Kind.FOLDER)


@dataclass
class Step:
    """The operations of one transaction, and what is to be noted of them."""

    session: Session
    cohort: Definition
    now_ms: int
    ops: list[AnyOp] = field(default_factory=list)
    _brought: list[tuple[int, Wanted]] = field(default_factory=list)  # by the number of the operation
    _made: dict[tuple[UUID, str], tuple[UUID, str]] = field(default_factory=dict)
    _dropped: list[bytes] = field(default_factory=list)

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
            parent: UUID = self.cohort.folder
            for folder in folders:
                parent = self._folder(parent, folder)
            made = fresh_id(self.now_ms)
            name = self._free(parent, name)
            self._made[parent, name_key(name)] = made, Kind.FILE.value
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

    def _folder(self, parent: UUID, name: str) -> UUID:
        """The folder of this name, made if there is none; beside a file of that name it gets a number."""
        while (there := self._at(parent, name)) is not None:
            node, kind = there
            if kind == Kind.FOLDER.value:
                return node
            name = f"{name}-2"
        node = fresh_id(self.now_ms)
        self.ops.append(Make(node=node, parent=parent, name=name, content=_FOLDER))
        self._made[parent, name_key(name)] = node, Kind.FOLDER.value
        return node

    def _free(self, parent: UUID, name: str) -> str:
        path, count, wanted = PurePosixPath(name), 1, name
        while self._at(parent, wanted) is not None:
            count += 1
            wanted = f"{path.stem}-{count}{path.suffix}"
        return wanted

    def _at(self, parent: UUID, name: str) -> tuple[UUID, str] | None:
        made = self._made.get((parent, name_key(name)))
        if made is not None:
            return made
        rows = rows_of_sql(self.session, CHILD, self.cohort.space, parent.bytes, name_key(name))
        return (UUID(bytes=rows[0].id), rows[0].kind) if rows else None


# ---- on whose behalf ----------------------------------------------------------------------------------------


def committed(
    session: Session,
    store: ChunkStore,
    cursors: Cursors,
    space: SpaceId,
    ops: Sequence[AnyOp],
    *,
    now_ms: int,
    default_quota: int | None,
) -> Committed:
    """As the device of the cohorts, in the caller's transaction.  Raises Unavailable: not all of it could be done."""
    last = session.scalar(select(func.max(BatchRow.number)).where(BatchRow.device == COHORTS.bytes)) or 0
    batch = Commit(operation=uuid4(), number=last + 1, ops=list(ops))
    view = _whole(session, space)
    answer = commit(session, store, cursors, _WHO, view, batch, now_ms=now_ms, default_quota=default_quota)
    assert isinstance(answer, Committed), "a batch without revisions of another epoch meets no reset"
    for result in answer.results:
        if result.status is not Status.DONE:
            raise Unavailable(
                f"A cohort could not be filled ({result.status.value})", hint="It is tried again."
            )
    return answer


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
        rows = [] if is_new else rows_of_sql(session, CHILD, view.space, at.bytes, name_key(name))
        if rows and (depth == len(path) - 1 or rows[0].kind != Kind.FOLDER.value):
            raise Refused(f"There is a {name} already", hint="Choose another name for the cohort.")
        if rows:
            at = UUID(bytes=rows[0].id)
            continue
        is_new, made = True, fresh_id(now_ms)
        ops.append(Make(node=made, parent=at, name=name, content=_FOLDER))
        at = made
    committed(session, store, cursors, view.space, ops, now_ms=now_ms, default_quota=default_quota)
    return NodeId(at)


_WHO = Principal(
    user=UserId(UUID(int=0)),
    user_name="",
    device=COHORTS,
    device_name="cohort",
    is_admin=False,
    last_seen_at_ms=0,
)


def _whole(session: Session, space: SpaceId) -> ReadableView:
    row = session.execute(
        select(ViewRow.id, ViewRow.root, ViewRow.kind, ViewRow.name)
        .join(SpaceRow, (SpaceRow.id == ViewRow.space) & (SpaceRow.root == ViewRow.root))
        .where(ViewRow.space == space)
    ).one()
    return ReadableView(
        id=ViewId(UUID(bytes=row.id)),
        space=space,
        root=NodeId(UUID(bytes=row.root)),
        kind=row.kind,
        name=row.name,
        roles=frozenset({Role.EDITOR}),
    )
