"""Which job goes first.

Owns: the rank of a job, the turns that rules take, how many runs a rule may have beside each other, what came alone.
May import: sqlalchemy, server.access, server.database.

What came alone goes first, then what is new, then what was there when its rule was made, whatever their rules; then the
priority of the rule decides; among equals the rules take turns: ten thousand files in one folder do not hold up the one
file in another.

Of what one device sends without a pause the first few count as alone, the rest waits for its turn: who drops one image
does not wait behind the ten thousand of somebody else, nor behind ten thousand of their own that were sent before.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from enum import IntEnum

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from server.access.rights import INTAKE
from server.database.session import AnyRow, rows_of_sql
from server.database.tables import JobRow, RuleRow, SpaceRow, VersionRow

_RANKS = 10  # one for each priority, in each tier
MOST_ALONE = 4  # files of one device ...
ALONE_MS = 10_000  # ... within so long
MOST_QUICK_BYTES = 64 << 20  # a larger file is no matter of a second, and goes with the others
_LOOK_BACK = (
    "SELECT id, kind, changed_by, changed_at_ms FROM nodes WHERE space = ? AND stamp <= ?"
    " ORDER BY stamp DESC LIMIT 256"
)


class Tier(IntEnum):
    """How a file came to its rule."""

    ALONE = -1
    NEW = 0
    WAS_THERE = 1


def rank_of(priority: int, tier: Tier) -> int:
    """priority: 0 to 9, of the rule.  The lowest rank goes first."""
    return tier * _RANKS + _RANKS - 1 - priority


def came_alone(session: Session, space: int, page: Sequence[AnyRow], *, after: int) -> set[bytes]:
    """Which files of this page of the feed came by themselves, or among the first of many.

    page: the nodes stamped after `after`, in order; id, kind, changed_by and changed_at_ms of each.
    """
    lately: defaultdict[bytes, deque[int]] = defaultdict(deque)
    alone: set[bytes] = set()
    before = rows_of_sql(session, _LOOK_BACK, space, after)
    for count, node in enumerate([*reversed(before), *page]):
        if node.kind != "file":
            continue
        times = lately[node.changed_by]
        while times and times[0] <= node.changed_at_ms - ALONE_MS:
            times.popleft()
        if len(times) < MOST_ALONE and count >= len(before):
            alone.add(node.id)
        times.append(node.changed_at_ms)
    return alone


def next_job(session: Session, *, now_ms: int, quick: bool = False) -> JobRow | None:
    """The job whose turn it is: one that waits and is due, or one whose runner died; None: there is none.

    quick: only such as came alone into an intake and will soon be out of it.
    """
    first: JobRow | None = None
    rules = select(RuleRow.id, RuleRow.at_once).where(RuleRow.enabled).order_by(RuleRow.turn, RuleRow.id)
    if quick:
        rules = rules.join(SpaceRow, SpaceRow.id == RuleRow.space).where(
            SpaceRow.kind == INTAKE, RuleRow.target_space != RuleRow.space
        )
    for rule, at_once in session.execute(rules):
        if at_once is not None and _runs(session, rule, now_ms) >= at_once:
            continue
        if quick:
            job = session.scalar(_quick(rule, now_ms))
        else:
            job = session.scalar(_died(rule, now_ms)) or session.scalar(_waiting(rule, now_ms))
        if job is not None and (first is None or job.rank < first.rank):
            first = job
    return first


def _runs(session: Session, rule: bytes, now_ms: int) -> int:
    """How many runs the rule has now: jobs that are done together have one lease."""
    mine = (JobRow.rule == rule) & (JobRow.state == "running") & (JobRow.leased_until_ms > now_ms)
    return session.scalar(select(func.count(JobRow.lease.distinct())).where(mine)) or 0


def note_turn(session: Session, rule: bytes) -> None:
    """This rule comes after all others of its rank now."""
    last = select(func.max(RuleRow.turn)).scalar_subquery()
    session.execute(update(RuleRow).where(RuleRow.id == rule).values(turn=last + 1))


def _died(rule: bytes, now_ms: int) -> Select[JobRow]:
    mine = (JobRow.rule == rule) & (JobRow.state == "running")
    return select(JobRow).where(mine, JobRow.leased_until_ms <= now_ms).order_by(JobRow.rank).limit(1)


def _waiting(rule: bytes, now_ms: int) -> Select[JobRow]:
    mine = (JobRow.rule == rule) & (JobRow.state == "waiting")
    order = (JobRow.rank, JobRow.due_at_ms, JobRow.node)  # ids of nodes count up with time
    return select(JobRow).where(mine, JobRow.due_at_ms <= now_ms).order_by(*order).limit(1)


def _quick(rule: bytes, now_ms: int) -> Select[JobRow]:
    """Not what was tried before: what crashes or hangs is for the others."""
    version = (
        (VersionRow.space == RuleRow.space)
        & (VersionRow.node == JobRow.node)
        & (VersionRow.epoch == JobRow.epoch)
        & (VersionRow.number == JobRow.number)
    )
    return (
        _waiting(rule, now_ms)
        .join(RuleRow, RuleRow.id == JobRow.rule)
        .join(VersionRow, version)
        .where(JobRow.rank < 0, JobRow.tries == 0, VersionRow.size <= MOST_QUICK_BYTES)
    )
