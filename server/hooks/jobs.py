"""The table of jobs: made by following spaces through their feed, leased by runners, ended once.

Owns: the states of a job and the ways between them, leases, when a failed one is tried again.
May import: sqlalchemy, protocol, server.database, server.hooks, server.spaces.

    waiting → running → published | unchanged | quarantined | failed | gone
    running → waiting            it crashed, overran or asked for it, or its runner died (the lease ran out)
    quarantined → waiting        a person released it, or it is done again
    quarantined → rejected       a person said so: nothing of it ever appears

A job is made in the transaction that notes how far its rule has read, and there is one for each version of each file:
so each is made once, whatever dies in between.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from blocks.contract.result import Reason
from protocol.ids import NodeId, SpaceId
from protocol.messages import Revision
from server.database.session import rows_of_sql
from server.database.tables import JobRow, RuleRow, SpaceRow, VersionRow
from server.hooks import turns, units
from server.hooks.numbers import draw_number
from server.hooks.rules import Rule, rule_with
from server.hooks.tracing import made_in_place
from server.hooks.turns import Tier
from server.spaces.rows import LIVE_BELOW, load_with_ancestors
from server.spaces.staging import StagedNode

LEASE_MS = 30_000  # renewed while the block runs
MOST_TRIES = 5
FIRST_PAUSE_MS = 2_000  # a worker that was killed is most often well again at once
MOST_BATCH_BYTES = 64 << 20  # of the files of one batch; a larger file goes alone
_PAGE = 1_000
_NEW = (
    "SELECT id, kind, place_number, content_epoch, content_number, stamp, changed_by, changed_at_ms FROM nodes"
    " WHERE space = ? AND stamp > ? AND deleted_at_ms IS NULL ORDER BY stamp LIMIT ?"
)
_FILES_BELOW = (
    f"{LIVE_BELOW} SELECT nodes.id, nodes.content_epoch, nodes.content_number FROM below"  # noqa: S608 - constants
    " JOIN nodes ON nodes.space = ? AND nodes.id = below.id WHERE nodes.kind = 'file'"
)
_MAKE = (
    "INSERT INTO jobs (id, rule, node, epoch, number, rank, state, tries, due_at_ms, reasons, is_released, made_at_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, '[]', 0, ?)"
    " ON CONFLICT (rule, node, epoch, number) DO UPDATE SET state = 'waiting', rank = excluded.rank,"
    " due_at_ms = excluded.due_at_ms"
    " WHERE jobs.state = 'gone'"
)
_JOBS = JobRow.metadata.tables[JobRow.__tablename__]  # without the ORM an update costs a tenth


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"  # the block had nothing to say of it, or does not take such files
    QUARANTINED = "quarantined"
    FAILED = "failed"
    REJECTED = "rejected"
    GONE = "gone"  # its file was deleted, or has a newer version


OPEN_ENDS = (State.QUARANTINED, State.FAILED)  # a person must look


_DIED = Reason(code="server-died", text=f"The server ended {MOST_TRIES} times while it worked on this file.")


@dataclass(frozen=True, slots=True)
class Leased:
    """A job that this runner has to itself until its lease ends; jobs that are done together share one lease."""

    id: int
    rule: Rule
    node: NodeId
    revision: Revision
    tries: int
    lease: bytes
    released: bytes | None  # the digest of what a person released


# ---- making ----------------------------------------------------------------------------------------------


def behind(session: Session) -> list[bytes]:
    """The rules whose folder has news."""
    sql = (
        "SELECT rules.id FROM rules JOIN spaces ON spaces.id = rules.space"
        " WHERE rules.enabled AND spaces.stamp > rules.seen_stamp"
    )
    return [rule for (rule,) in rows_of_sql(session, sql)]


def follow(session: Session, rule: bytes, *, now_ms: int) -> bool:
    """Make the jobs for the next page of what is new to this rule; whether there is more."""
    row = session.get(RuleRow, rule)
    if row is None or not row.enabled:
        return False
    if row.settle_ms is not None:
        return units.follow(session, row, now_ms=now_ms)
    page = rows_of_sql(session, _NEW, row.space, row.seen_stamp, _PAGE)
    head: int = session.scalars(select(SpaceRow.stamp).where(SpaceRow.id == row.space)).one()
    files = {one.id: (one.content_epoch, one.content_number) for one in page if one.kind == "file"}
    tiers = {one.id: Tier.WAS_THERE if one.stamp <= row.made_stamp else Tier.NEW for one in page}
    alone = turns.came_alone(session, row.space, page, after=row.seen_stamp)
    tiers.update((node, Tier.ALONE) for node in alone if tiers[node] is Tier.NEW)
    for one in page:
        if (
            one.kind == "folder" and one.place_number > 1
        ):  # moved or restored: what lies in it has no new stamp
            below = rows_of_sql(session, _FILES_BELOW, row.space, one.id, row.space)
            files.update((node, (epoch, number)) for node, epoch, number in below)
    space = SpaceId(row.space)
    inside = _inside(load_with_ancestors(session, space, files), files, row.node)
    own = made_in_place(session, rule, space, {node: files[node] for node in inside})
    for node in inside:
        if node in own:
            continue
        rank = turns.rank_of(row.priority, tiers.get(node, Tier.NEW))
        row_values = (draw_number(session), rule, node, *files[node], rank, now_ms, now_ms)
        session.connection().exec_driver_sql(_MAKE, row_values)
    row.seen_stamp = page[-1].stamp if len(page) == _PAGE else head
    session.flush()
    return len(page) == _PAGE


def _inside(nodes: dict[bytes, StagedNode], wanted: Iterable[bytes], folder: bytes) -> list[bytes]:
    """Those of `wanted` that live, and live below `folder`."""
    found = []
    for node in wanted:
        at, way = nodes.get(node), 0
        is_inside = False
        while at is not None and not at.is_deleted and way <= len(nodes):
            is_inside = is_inside or at.parent == folder
            at, way = nodes.get(at.parent), way + 1
        if is_inside and at is None:
            found.append(node)
    return found


def are_current(session: Session, batch: Sequence[Leased]) -> dict[int, StagedNode]:
    """The files (or folders) of those jobs that live in their rule's folder in the version of the job, by its number.

    batch: of one rule.
    """
    source = batch[0].rule.source
    wanted = [job.node.bytes for job in batch]
    nodes = load_with_ancestors(session, source.space, wanted)
    if batch[0].rule.settle_ms is None:
        inside = set(_inside(nodes, wanted, source.node.bytes))
    else:
        inside = {node for node in wanted if units.is_within(nodes, node, source.node.bytes)}
    return {
        job.id: nodes[job.node.bytes]
        for job in batch
        if job.node.bytes in inside and nodes[job.node.bytes].content == job.revision
    }


# ---- leasing ---------------------------------------------------------------------------------------------


def claim(
    session: Session,
    *,
    now_ms: int,
    most: Callable[[Rule], int] = lambda _: 1,
    runners: int = 1,
    quick: bool = False,
) -> list[Leased]:
    """The jobs that are next, of one rule, for this runner alone; empty: none is due.

    most: how many files the rule takes at once.  runners: how many share what waits, so that none takes all of it and
    leaves the others idle.  quick: as `turns.next_job` has it.  A job that was tried before, or was released by a
    person, is taken alone.
    """
    while (
        row := turns.next_job(session, now_ms=now_ms, quick=quick)
    ) is not None and row.state == State.RUNNING:
        row.tries += 1  # its runner died: a file that kills the server is not tried for ever
        if row.tries < MOST_TRIES:
            break
        row.state, row.lease, row.leased_until_ms, row.ended_at_ms = State.FAILED, None, None, now_ms
        row.reasons = _as_json([_DIED])
        session.flush()
    if row is None:
        return []
    rule = rule_with(session, row.rule)
    rows = [row]
    if row.state == State.WAITING and row.tries == 0 and not row.is_released:
        chosen = _beside(session, row, rule, now_ms=now_ms, most=most(rule), runners=runners)
        rows += session.scalars(select(JobRow).where(JobRow.id.in_(chosen)).order_by(JobRow.node))
    lease = secrets.token_bytes(16)
    for one in rows:
        one.state, one.lease, one.leased_until_ms = State.RUNNING, lease, now_ms + LEASE_MS
    session.flush()
    turns.note_turn(session, row.rule)
    return [
        Leased(
            id=one.id,
            rule=rule,
            node=NodeId(UUID(bytes=one.node)),
            revision=Revision(epoch=one.epoch, number=one.number),
            tries=one.tries,
            lease=lease,
            released=one.digest if one.is_released else None,
        )
        for one in rows
    ]


def _beside(
    session: Session, first: JobRow, rule: Rule, *, now_ms: int, most: int, runners: int
) -> list[int]:
    """Which jobs are done together with the first: fresh ones of its rank, in their order."""
    if most == 1:
        return []
    fits = (
        (JobRow.rule == first.rule)
        & (JobRow.state == State.WAITING)
        & (JobRow.rank == first.rank)
        & (JobRow.due_at_ms <= now_ms)
        & (JobRow.tries == 0)
        & JobRow.is_released.is_(False)
    )
    version = (
        (VersionRow.space == rule.source.space)
        & (VersionRow.node == JobRow.node)
        & (VersionRow.epoch == JobRow.epoch)
        & (VersionRow.number == JobRow.number)
    )
    waiting = session.execute(
        select(JobRow.id, VersionRow.size)
        .outerjoin(VersionRow, version)
        .where(fits)
        .order_by(JobRow.due_at_ms, JobRow.node)
        .limit(most * runners)
    ).all()
    size_bytes = sum(size or 0 for job, size in waiting if job == first.id)
    others = [(job, size or 0) for job, size in waiting if job != first.id]
    chosen: list[int] = []
    for job, size in others[: min(most, -(-len(waiting) // runners)) - 1]:
        size_bytes += size
        if size_bytes > MOST_BATCH_BYTES:
            break
        chosen.append(job)
    return chosen


def renew(session: Session, batch: Sequence[Leased], *, now_ms: int) -> bool:
    """False: no lease of these is left, and what the runner made counts no more."""
    held = [_changed(session, job, leased_until_ms=now_ms + LEASE_MS) for job in batch]
    return any(held)


def is_due(session: Session, *, now_ms: int, quick: bool = False) -> bool:
    """Whether `claim` would find something: asked before, since it takes the write lock."""
    return turns.next_job(session, now_ms=now_ms, quick=quick) is not None


def give_back_all(session: Session) -> None:
    """At the start of the one server on this data folder: whoever had a lease is dead."""
    session.execute(update(JobRow).where(JobRow.state == State.RUNNING).values(leased_until_ms=0))


# ---- ending ----------------------------------------------------------------------------------------------


def end(
    session: Session,
    job: Leased,
    state: State,
    *,
    reasons: Sequence[Reason] = (),
    digest: bytes | None = None,
    report: bytes | None = None,
    now_ms: int,
) -> bool:
    """False: the lease was lost, and nothing was changed."""
    return _changed(
        session,
        job,
        state=state,
        reasons=_as_json(reasons),
        digest=digest,
        is_released=False,
        report=report,
        lease=None,
        leased_until_ms=None,
        ended_at_ms=now_ms,
    )


def try_later(session: Session, job: Leased, reason: Reason, *, now_ms: int) -> None:
    """Once more after 2, 8, 32 and 128 s; then it has failed, and a person must look."""
    if job.tries + 1 >= MOST_TRIES:
        end(session, job, State.FAILED, reasons=[reason], now_ms=now_ms)
        return
    _changed(
        session,
        job,
        state=State.WAITING,
        tries=job.tries + 1,
        due_at_ms=now_ms + (FIRST_PAUSE_MS << 2 * job.tries),
        reasons=_as_json([reason]),
        lease=None,
        leased_until_ms=None,
    )


def try_alone(session: Session, batch: Sequence[Leased], reason: Reason, *, now_ms: int) -> None:
    """Something is wrong with one of them, or with all: each once more by itself, at once."""
    for job in batch:
        _changed(
            session,
            job,
            state=State.WAITING,
            tries=job.tries + 1,
            due_at_ms=now_ms,
            reasons=_as_json([reason]),
            lease=None,
            leased_until_ms=None,
        )


def give_back(session: Session, batch: Sequence[Leased], *, now_ms: int) -> None:
    """The server stops: the next one goes on with them, and this was no try."""
    for job in batch:
        _changed(session, job, state=State.WAITING, due_at_ms=now_ms, lease=None, leased_until_ms=None)


def _changed(session: Session, job: Leased, **values: object) -> bool:
    """Whether this runner still had the job."""
    mine = (_JOBS.c.id == job.id) & (_JOBS.c.state == State.RUNNING) & (_JOBS.c.lease == job.lease)
    return bool(session.execute(update(_JOBS).where(mine).values(**values).returning(_JOBS.c.id)).all())


def _as_json(reasons: Sequence[Reason]) -> str:
    return json.dumps([{"code": reason.code, "text": reason.text} for reason in reasons])
