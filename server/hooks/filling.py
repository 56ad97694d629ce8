"""Folders of cohorts, kept as their queries say.

Owns: what a folder lacks and has too much of, the names in it, one step of the way there in one transaction.
May import: the standard library, sqlalchemy, protocol, server.access, server.catalog, server.chunks, server.database,
server.hooks, server.spaces.

A link is a file of its own with the same chunks, so it travels, is shared and is kept as any other; provenance names
the file that it is of, so who withdraws that one takes the link too.  A link is known by its node: where people moved
it inside the folder does not matter, and what they edited, deleted or moved out of the folder is theirs.

Each pass compares what fits now with what is linked, does a part of the difference in one transaction that looks at
every file once more, and begins anew.  Nothing of a pass is remembered: a server that was killed just goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied, MedicalBlocksError, NotFound, Refused, Unavailable
from protocol.frames import Frame, frame_of
from protocol.ids import ChunkId, NodeId, SpaceId, UserId, ViewId
from protocol.limits import MAX_COHORT_FILES
from protocol.messages import (
    AnyOp,
    Commit,
    Committed,
    Content,
    Delete,
    Kind,
    Make,
    Manifest,
    Put,
    Revision,
    Status,
)
from protocol.names import name_key, refusal
from server.access.cursors import Cursors
from server.access.devices import COHORTS
from server.access.new_spaces import fresh_id
from server.access.rights import Action, Principal, ReadableView, Role, rights_of
from server.access.views import readable_view
from server.catalog import carrying, cohorts
from server.catalog.cohorts import Definition
from server.catalog.entries import changes_in
from server.catalog.query import Query, parse, satisfies
from server.catalog.searching import matching
from server.catalog.visible import SeenFile, seen_files
from server.chunks.store import ChunkStore
from server.database.session import AnyRow, Database, insert_rows, rows_of_sql
from server.database.tables import (
    BatchRow,
    CohortLinkRow,
    CohortRow,
    ProvenanceRow,
    SpaceRow,
    UserRow,
    ViewRow,
)
from server.spaces.commit import commit
from server.spaces.rows import load_with_ancestors, versions_named
from server.spaces.staging import StagedNode

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
GENTLE = 4  # so many times as long as a pass took nothing is done
AT_ONCE = 100  # files of one transaction
DEFINITION = "cohort.json"
_BLOCK, _BLOCK_VERSION = "cohort", "1"  # as provenance names it
_FOLDER = Content(kind=Kind.FOLDER)
_CHILD = "SELECT id, kind FROM nodes WHERE space = ? AND parent = ? AND name_key = ?"
_UNFIT = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that fits, and the folders and name under which it is linked."""

    source: bytes
    entry: int
    revision: Revision
    place: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a folder lacks, has in an older version, and has too much of (the links' rows)."""

    lacks: Sequence[Wanted]
    older: Sequence[Wanted]
    too_much: Sequence[bytes]
    is_full: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.lacks or self.older or self.too_much)


class Filling:
    """`run` for as long as the server lives.  notify: called with a space that moved."""

    def __init__(
        self,
        database: Database,
        store: ChunkStore,
        cursors: Cursors,
        *,
        notify: Callable[[SpaceId], None],
        clock: Callable[[], int],
        default_quota: int | None = None,
    ) -> None:
        self._database, self._store, self._cursors = database, store, cursors
        self._notify, self._clock, self._default_quota = notify, clock, default_quota

    async def run(self) -> None:
        """Until cancelled."""
        seen = -1
        while True:
            begin = time.monotonic()
            try:
                if (version := self._database.data_version()) != seen and not await self.fill_all():
                    seen = version
            except (MedicalBlocksError, OSError) as error:
                log.warning("the cohorts wait: %s", type(error).__name__)
            await asyncio.sleep(max(LOOK_SECONDS, GENTLE * (time.monotonic() - begin)))

    async def fill_all(self) -> bool:
        """A step for each cohort that may not be as its query says; whether anything was done."""
        some = False
        for cohort in await self._database.read(_behind):
            try:
                some = await self._fill(cohort) or some
            except MedicalBlocksError as error:  # no room, or not now; the others go on
                log.warning("cohort=%s waits: %s", cohort.id.hex[-8:], error.what)
                await self._database.write(partial(_is_full, cohort=cohort))
        return some

    async def _fill(self, cohort: Definition) -> bool:
        stamp, changes, view = await self._database.read(partial(_look, cohort=cohort))
        if view is None:
            await self._database.write(
                partial(_rest, cohort=cohort, state=cohorts.STOPPED, at=(stamp, changes))
            )
            return False
        await self._tell(cohort)
        missing = await self._database.read(partial(difference, cohort=cohort, view=view))
        if missing.is_empty:
            state = cohorts.FULL if missing.is_full else cohorts.OPEN
            await self._database.write(partial(_rest, cohort=cohort, state=state, at=(stamp, changes)))
            return False
        done = await self._database.write(partial(self._step, cohort=cohort, missing=missing))
        if done:
            self._notify(cohort.space)
        log.info(
            "cohort=%s lacked=%d older=%d too_much=%d",
            cohort.id.hex[-8:],
            len(missing.lacks),
            len(missing.older),
            len(missing.too_much),
        )
        return True

    async def _tell(self, cohort: Definition) -> None:
        """Its definition lies beside what it is of; once, whatever becomes of it."""
        if await self._database.read(partial(_is_told, cohort=cohort)):
            return
        data, manifest = _definition_file(cohort)

        async def frames() -> AsyncIterator[list[Frame]]:
            yield [frame_of(ChunkId(manifest.chunks), data)]

        await self._store.take(COHORTS, frames())
        await self._database.write(partial(self._told, cohort=cohort, manifest=manifest))
        self._notify(cohort.space)

    def _told(self, session: Session, *, cohort: Definition, manifest: Manifest) -> None:
        if _is_told(session, cohort=cohort):
            return
        if not rows_of_sql(session, _CHILD, cohort.space, cohort.folder.bytes, name_key(DEFINITION)):
            content = Content(kind=Kind.FILE, manifest=manifest, mtime_ns=self._clock() * 1_000_000)
            make = Make(node=fresh_id(self._clock()), parent=cohort.folder, name=DEFINITION, content=content)
            self._commit(session, cohort.space, [make])
        session.execute(update(CohortRow).where(CohortRow.id == cohort.id.bytes).values(told=True))

    # ---- one step ----------------------------------------------------------------------------------------

    def _step(self, session: Session, *, cohort: Definition, missing: Difference) -> bool:
        """A part of what is missing, of which each is looked at once more; whether anything was done."""
        view = _view_of(session, cohort)
        if view is None or session.get(CohortRow, cohort.id.bytes) is None:
            return False
        step = _Step(session, cohort, self._clock())
        step.take_away(missing.too_much[:AT_ONCE], _fitting(session, view, cohort, step.entries_of(missing)))
        # what fits no more goes first and by itself: it must not wait for room
        wanted = [] if missing.too_much else [*missing.older, *missing.lacks][:AT_ONCE]
        fitting = _fitting(session, view, cohort, {one.entry for one in wanted})
        for one in wanted:
            if fitting.get(one.source) == one.revision:
                step.bring(one)
        if not step.ops:
            step.finish(None)
            return False
        step.finish(self._commit(session, cohort.space, step.ops))
        return True

    def _commit(self, session: Session, space: SpaceId, ops: Sequence[AnyOp]) -> Committed:
        return _committed(
            session,
            self._store,
            self._cursors,
            space,
            ops,
            now_ms=self._clock(),
            default_quota=self._default_quota,
        )


def _committed(
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
        rows = [] if is_new else rows_of_sql(session, _CHILD, view.space, at.bytes, name_key(name))
        if rows and (depth == len(path) - 1 or rows[0].kind != Kind.FOLDER.value):
            raise Refused(f"There is a {name} already", hint="Choose another name for the cohort.")
        if rows:
            at = UUID(bytes=rows[0].id)
            continue
        is_new, made = True, fresh_id(now_ms)
        ops.append(Make(node=made, parent=at, name=name, content=_FOLDER))
        at = made
    _committed(session, store, cursors, view.space, ops, now_ms=now_ms, default_quota=default_quota)
    return NodeId(at)


@dataclass
class _Step:
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
            if node is not None and _is_ours(node, link, nodes, self.cohort):
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
        if node is None or not _is_ours(node, link, nodes, self.cohort):
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

    def _nodes(self, nodes: Iterator[bytes] | Sequence[bytes]) -> dict[bytes, StagedNode]:
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
        rows = rows_of_sql(self.session, _CHILD, self.cohort.space, parent.bytes, name_key(name))
        return (UUID(bytes=rows[0].id), rows[0].kind) if rows else None


# ---- what is, and what should be ---------------------------------------------------------------------------


def difference(session: Session, *, cohort: Definition, view: ReadableView) -> Difference:
    """Between what fits now and what is linked."""
    own = _path_of(session, cohort)
    wanted: dict[bytes, Wanted] = {}
    is_full = False
    for entry, files in matching(session, view, parse(cohort.query), may_read=True):
        for file in files:
            if file.path[: len(own)] == own:
                continue  # what people put into the folder itself
            if len(wanted) == MAX_COHORT_FILES:
                is_full = True
                break
            wanted[file.node] = Wanted(file.node, entry.id, file.revision, _place(entry, file))
        if is_full:
            break
    links = {
        row.source: Revision(row.source_epoch, row.source_number)
        for row in session.scalars(select(CohortLinkRow).where(CohortLinkRow.cohort == cohort.id.bytes))
    }
    return Difference(
        lacks=[one for source, one in wanted.items() if source not in links],
        older=[one for source, one in wanted.items() if source in links and links[source] != one.revision],
        too_much=[source for source in links if source not in wanted],
        is_full=is_full,
    )


def _fitting(
    session: Session, view: ReadableView, cohort: Definition, entries: set[int]
) -> dict[bytes, Revision]:
    """The files of these entries that fit in this very transaction."""
    query: Query = parse(cohort.query)
    own = _path_of(session, cohort)
    seen = seen_files(session, view, entries, with_contents=True)
    return {
        file.node: file.revision
        for files in seen.values()
        for file in files
        if file.path[: len(own)] != own and satisfies(file.facts, query)
    }


def _is_ours(
    node: StagedNode, link: CohortLinkRow, nodes: Mapping[bytes, StagedNode], cohort: Definition
) -> bool:
    """It is live, lies in the cohort's folder, and holds what was put into it."""
    if (node.content.epoch, node.content.number) != (link.epoch, link.number):
        return False
    at: StagedNode | None = node
    is_inside = False
    while at is not None:
        if at.is_deleted:
            return False
        is_inside = is_inside or at.id == cohort.folder.bytes
        at = nodes.get(at.parent)
    return is_inside


def _place(entry: AnyRow, file: SeenFile) -> tuple[str, ...]:
    """patient/study/series/file, where the file says them."""
    if not file.is_current:
        return ("others", file.path[-1])
    if not entry.series:
        return (_fit(entry.patient) or "others", file.path[-1])
    number = file.attributes.get("SeriesNumber", (0,))[0]
    modality = _fit(str(file.attributes.get("Modality", ("",))[0]))
    study = "-".join(filter(None, ("study", _fit(entry.date), _word(entry.study))))
    series = "-".join(filter(None, ("series", f"{int(number):03}", modality, _word(entry.series))))
    return (_fit(entry.patient) or "others", study, series, file.path[-1])


def _word(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:8]


def _fit(text: str) -> str:
    """As a name of a folder on every system; what cannot be one is replaced."""
    name = _UNFIT.sub("_", text).strip("._ ")[:60]
    return name if name and refusal(name) is None else ""


def _path_of(session: Session, cohort: Definition) -> tuple[str, ...]:
    """Of its folder, from the root of its scope."""
    nodes = load_with_ancestors(session, cohort.space, [cohort.folder.bytes])
    names: list[str] = []
    at = nodes.get(cohort.folder.bytes)
    while at is not None and at.id != cohort.scope.bytes:
        names.insert(0, at.name)
        at = nodes.get(at.parent)
    return tuple(names)


# ---- when, and by whose right ------------------------------------------------------------------------------


def _behind(session: Session) -> list[Definition]:
    """Whose space or labels moved since they were as they should be."""
    rows = session.execute(
        select(CohortRow, SpaceRow.stamp).join(SpaceRow, SpaceRow.id == CohortRow.space)
    ).all()
    found = []
    for row, stamp in rows:
        if (row.seen_stamp, row.seen_changes) != (stamp, changes_in(session, row.space)) or _may_again(
            session, row
        ):
            found.append(cohorts.definition_of(row))
    return found


def _may_again(session: Session, row: CohortRow) -> bool:
    """Rights change without a stamp of the space."""
    cohort = cohorts.definition_of(row)
    return (row.state == cohorts.STOPPED) is (_view_of(session, cohort) is not None)


def _look(session: Session, *, cohort: Definition) -> tuple[int, int, ReadableView | None]:
    """What is seen now; None: it does not fill."""
    stamp = session.scalar(select(SpaceRow.stamp).where(SpaceRow.id == cohort.space)) or 0
    return stamp, changes_in(session, cohort.space), _view_of(session, cohort)


def _view_of(session: Session, cohort: Definition) -> ReadableView | None:
    """What its maker sees of its scope, if they may write there still and its folder is there."""
    user = session.execute(
        select(UserRow.name, UserRow.disabled_at_ms).where(UserRow.id == cohort.user.bytes)
    ).one_or_none()
    view = session.scalar(
        select(ViewRow.id).where(ViewRow.space == cohort.space, ViewRow.root == cohort.scope.bytes)
    )
    above = load_with_ancestors(session, cohort.space, [cohort.folder.bytes])
    is_there = bool(above) and not any(folder.is_deleted for folder in above.values())
    if user is None or user.disabled_at_ms is not None or view is None or not is_there:
        return None
    maker = Principal(cohort.user, user.name, COHORTS, "cohort", is_admin=False, last_seen_at_ms=0)
    with suppress(NotFound, AccessDenied):
        found = readable_view(session, maker, ViewId(UUID(bytes=view)), Action.WRITE)
        return found if Action.READ in rights_of(maker, found) else None
    return None


def _rest(session: Session, *, cohort: Definition, state: str, at: tuple[int, int]) -> None:
    """It is as it should be, as of this state of its space."""
    session.execute(
        update(CohortRow)
        .where(CohortRow.id == cohort.id.bytes)
        .values(state=state, seen_stamp=at[0], seen_changes=at[1])
    )


def _is_full(session: Session, *, cohort: Definition) -> None:
    """Said once, so that saying it is no news that begins another pass."""
    mine = (CohortRow.id == cohort.id.bytes) & (CohortRow.state != cohorts.FULL)
    session.execute(update(CohortRow).where(mine).values(state=cohorts.FULL))


def _is_told(session: Session, *, cohort: Definition) -> bool:
    return bool(session.scalar(select(CohortRow.told).where(CohortRow.id == cohort.id.bytes)))


def _definition_file(cohort: Definition) -> tuple[bytes, Manifest]:
    told = {  # not who made it: it goes along with a sync code
        "cohort": cohort.name,
        "query": cohort.query,
        "made_at": datetime.fromtimestamp(cohort.made_at_ms / 1_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "about": "This folder fills itself with the files that fit the query, for as long as they do.",
    }
    data = json.dumps(told, ensure_ascii=False, indent=2).encode() + b"\n"
    return data, Manifest(size=len(data), chunks=hashlib.sha256(data).digest(), lengths=[len(data)])


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
