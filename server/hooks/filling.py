"""Folders of cohorts, kept as their queries say.

Owns: when a cohort is looked at and by whose right, its passes, the file that tells its definition.
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
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from protocol.errors import AccessDenied, MedicalBlocksError, NotFound
from protocol.frames import Frame, frame_of
from protocol.ids import ChunkId, SpaceId, ViewId
from protocol.messages import (
    AnyOp,
    Committed,
    Content,
    Kind,
    Make,
    Manifest,
)
from server.access.cursors import Cursors
from server.access.devices import COHORTS
from server.access.new_spaces import fresh_id
from server.access.rights import Action, Principal, ReadableView, rights_of
from server.access.views import readable_view
from server.catalog import cohorts
from server.catalog.cohorts import Definition
from server.catalog.entries import changes_in
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.database.tables import (
    CohortRow,
    SpaceRow,
    UserRow,
    ViewRow,
)
from server.hooks.committing import FILLING, commit_as
from server.hooks.fitting import Difference, difference, fitting_now
from server.hooks.linking import AT_ONCE, Step
from server.hooks.placing import child_named
from server.spaces.rows import load_with_ancestors

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
GENTLE = 4  # so many times as long as a pass took nothing is done
DEFINITION = "cohort.json"


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
        if child_named(session, cohort.space, cohort.folder, DEFINITION) is None:
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
        step = Step(session, cohort, self._clock())
        step.take_away(
            missing.too_much[:AT_ONCE], fitting_now(session, view, cohort, step.entries_of(missing))
        )
        # what fits no more goes first and by itself: it must not wait for room
        wanted = [] if missing.too_much else [*missing.older, *missing.lacks][:AT_ONCE]
        fitting = fitting_now(session, view, cohort, {one.entry for one in wanted})
        for one in wanted:
            if fitting.get(one.source) == one.revision:
                step.bring(one)
        if not step.ops:
            step.finish(None)
            return False
        step.finish(self._commit(session, cohort.space, step.ops))
        return True

    def _commit(self, session: Session, space: SpaceId, ops: Sequence[AnyOp]) -> Committed:
        return commit_as(
            session,
            self._store,
            self._cursors,
            FILLING,
            space,
            ops,
            now_ms=self._clock(),
            default_quota=self._default_quota,
        )


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
