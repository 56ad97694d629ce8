"""Cohorts: queries that were given a folder, which fills itself with what fits.

Owns: their definitions (who made one, for which query, over which view), making, listing and ending them.
May import: sqlalchemy, protocol, server.access, server.catalog, server.database, server.spaces.

A cohort looks only at what lies in the view through which it was made, and fills for as long as its maker may write
there, as a sync code counts while its maker may share.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from protocol.catalog import Cohort, NewCohort
from protocol.errors import AccessDenied, BadRequest, NotFound, Refused
from protocol.ids import NodeId, SpaceId, UserId
from protocol.limits import MAX_COHORTS
from protocol.names import path_refusal, refusal
from server.access.ancestry import folders_above, is_live
from server.access.new_spaces import fresh_id
from server.access.rights import ReadableView
from server.catalog.query import parse
from server.database.tables import CohortLinkRow, CohortRow, UserRow

OPEN = "open"  # it fills
STOPPED = "stopped"  # its maker may not write there any more
GONE = "gone"  # its folder is in the trash
FULL = "full"  # more fits than a cohort may hold, or there is no room: what fits is not all there


@dataclass(frozen=True, slots=True)
class Definition:
    """scope: the root of the view through which it was made.  folder: of the cohort."""

    id: UUID
    space: SpaceId
    scope: NodeId
    folder: NodeId
    name: str
    query: str
    user: UserId
    made_at_ms: int


def definition_of(row: CohortRow) -> Definition:
    return Definition(
        id=UUID(bytes=row.id),
        space=SpaceId(row.space),
        scope=NodeId(UUID(bytes=row.scope)),
        folder=NodeId(UUID(bytes=row.folder)),
        name=row.name,
        query=row.query,
        user=UserId(UUID(bytes=row.user)),
        made_at_ms=row.made_at_ms,
    )


def check_new(session: Session, view: ReadableView, asked: NewCohort) -> None:
    """Raises BadRequest: no such folder or query can be.  Raises AccessDenied: of an intake there are none.
    Raises Refused: there are too many."""
    if view.is_restricted:
        raise AccessDenied("Nothing of an intake can be in a cohort", hint="Ask in the project.")
    parse(asked.query)
    for depth in range(len(asked.path)):
        why = refusal(asked.path[depth]) or path_refusal(asked.path[: depth + 1])
        if why is not None:
            raise BadRequest(
                f"The folder of a cohort cannot have this name: {why}", hint="Choose another one."
            )
    mine = CohortRow.space == view.space
    if (session.scalar(select(func.count()).select_from(CohortRow).where(mine)) or 0) >= MAX_COHORTS:
        raise Refused(f"There are {MAX_COHORTS} cohorts here", hint="Remove one that is not needed.")


def add(
    session: Session, view: ReadableView, folder: NodeId, asked: NewCohort, user: UserId, *, now_ms: int
) -> UUID:
    """folder: was just made for it."""
    made = fresh_id(now_ms)
    row = CohortRow(
        id=made.bytes,
        space=view.space,
        scope=view.root.bytes,
        folder=folder.bytes,
        name=asked.path[-1],
        query=asked.query,
        user=user.bytes,
        state=OPEN,
        seen_stamp=-1,
        seen_changes=-1,
        told=False,
        made_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    return made


def cohorts_of(session: Session, view: ReadableView, *, with_people: bool, with_query: bool) -> list[Cohort]:
    """Those whose folder lies in this view, or did before it was deleted; the oldest first.

    with_query: else it is left out, as it may name attributes.
    """
    query = (
        select(CohortRow, UserRow.name)
        .outerjoin(UserRow, UserRow.id == CohortRow.user)
        .where(CohortRow.space == view.space)
        .order_by(CohortRow.made_at_ms, CohortRow.id)
    )
    found = []
    for row, who in session.execute(query):
        above = folders_above(session, view.space, NodeId(UUID(bytes=row.folder)))
        names = [folder.name for folder in above]
        ids = [folder.id for folder in above]
        if view.root.bytes not in ids:
            continue
        links = select(func.count()).where(CohortLinkRow.cohort == row.id, CohortLinkRow.is_ours)
        found.append(
            Cohort(
                cohort=UUID(bytes=row.id),
                name=row.name,
                query=row.query if with_query else "",
                node=UUID(bytes=row.folder),
                path="/" + "/".join(reversed(names[: ids.index(view.root.bytes)])),
                files=session.scalar(links) or 0,
                state=row.state if is_live(above) else GONE,
                who=(who or "") if with_people else "",
                made_at_ms=row.made_at_ms,
            )
        )
    return found


def remove(session: Session, view: ReadableView, cohort: UUID) -> Cohort:
    """Its folder stays as it is, and is everybody's own from now on.  Raises NotFound."""
    for one in cohorts_of(session, view, with_people=True, with_query=True):
        if one.cohort == cohort:
            session.execute(delete(CohortLinkRow).where(CohortLinkRow.cohort == cohort.bytes))
            session.execute(delete(CohortRow).where(CohortRow.id == cohort.bytes))
            return one
    raise NotFound("There is no such cohort", hint="`mb-sync cohort list` shows all.")
