"""When a mass delete or a mass rewrite waits for a person.  Pure: counts and steps in, verdict and words out.

Owns: the kinds of mass change, the limits from which on they ask, what each says, which row is part of one, how
one row is turned back.
May import: protocol, engine.trees, engine.steps, engine.judgement.

"Here" is this disk, "there" the server: what was deleted here would be deleted there, and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from msgspec.structs import replace

from sync_client.engine.judgement import (
    edited_here,
    is_deleted_here,
    moved_here,
    untouched_here,
    untouched_there,
)
from sync_client.engine.steps import (
    DeleteRemote,
    DeleteTreeRemote,
    PutRemote,
    Remove,
    Replace,
    Step,
)
from sync_client.engine.trees import Row

SOME_NODES = 100  # more than these, and more than SHARE of all: asks
SHARE = 0.25
MANY_NODES = 1_000  # more than these: asks, whatever the share
EMPTIED_NODES = (
    10  # everything, and more than these: asks.  The last few files of a small folder are everyday work
)
REWRITTEN_FILES = 200  # within WINDOW_SECONDS, with more disorder than before: asks
WINDOW_SECONDS = 300.0
SAMPLED_FILES = 16
SAMPLED_BYTES = 64 * 1024
SAMPLE_AT_LEAST = 512  # of a shorter file the disorder cannot be told
DISORDERED_BITS = 7.0  # a byte: compressed or encrypted
RISEN_BITS = 0.3


class Mass(StrEnum):
    """What was done to many at once, and where."""

    DELETED_HERE = "deleted-here"
    DELETED_THERE = "deleted-there"
    REWRITTEN_HERE = "rewritten-here"
    REWRITTEN_THERE = "rewritten-there"


DELETES = (Mass.DELETED_HERE, Mass.DELETED_THERE)


@dataclass(frozen=True, slots=True)
class Counts:
    """pending: would be deleted now.  recent: were deleted within the last minutes, unasked.  approved: of the
    pending ones, what a person agreed to.  total: what the side that would lose them holds."""

    pending: int
    recent: int
    approved: int
    total: int

    @property
    def asked_about(self) -> int:
        return max(0, self.pending - self.approved) + self.recent


def done_at(up_s: float, *, now: float, same_start: bool | None) -> float:
    """When at the latest something was done, by the clock that begins with each start of the computer and that nobody
    sets; the wall clock is not asked, which may be put forward while the computer starts.

    up_s: what that clock showed then.  same_start: the computer runs since; None: nobody knows.
    """
    if same_start is False or now < up_s:
        return 0.0  # before this start: how long the computer was off is not known
    return up_s


def deletes_ask(counts: Counts) -> bool:
    doubtful = counts.asked_about
    if counts.pending <= counts.approved:
        return False
    if doubtful > MANY_NODES or (doubtful > SOME_NODES and doubtful > SHARE * (counts.total + counts.recent)):
        return True
    return counts.pending >= counts.total and doubtful > EMPTIED_NODES


def rewrites_ask(samples: Iterable[tuple[bytes, bytes]]) -> bool:
    """samples: beginnings of some files before and after.  Whoever encrypts them leaves disorder."""
    risen = [_has_risen(before, after) for before, after in samples]
    return bool(risen) and 2 * sum(risen) >= len(risen)


def _has_risen(before: bytes, after: bytes) -> bool:
    now = disorder(after)
    return now >= DISORDERED_BITS and now - disorder(before) >= RISEN_BITS


def disorder(data: bytes) -> float:
    """Entropy in bits a byte: 0 for one letter repeated, near 8 for what is encrypted."""
    counts = (data.count(value) for value in range(256))
    return -sum(count / len(data) * math.log2(count / len(data)) for count in counts if count)


# ---- steps -----------------------------------------------------------------------------------------------

_MASS_OF: dict[type[Step], Mass] = {
    DeleteRemote: Mass.DELETED_HERE,
    DeleteTreeRemote: Mass.DELETED_HERE,
    Remove: Mass.DELETED_THERE,
    PutRemote: Mass.REWRITTEN_HERE,
    Replace: Mass.REWRITTEN_THERE,
}


def tally(steps: Iterable[Step]) -> dict[Mass, int]:
    """How many nodes these steps delete or rewrite."""
    found: dict[Mass, int] = {}
    for step in steps:
        mass = _MASS_OF.get(type(step))
        if mass is not None:
            size = len(step.nodes) if isinstance(step, DeleteTreeRemote) else 1
            found[mass] = found.get(mass, 0) + size
    return found


# ---- rows ------------------------------------------------------------------------------------------------


def _deleted_here(row: Row) -> bool:
    remote, agreed = row.remote, row.agreed
    return (
        is_deleted_here(row) and remote is not None and agreed is not None and untouched_there(remote, agreed)
    )


def _deleted_there(row: Row) -> bool:
    local, agreed = row.local, row.agreed
    if row.remote is not None or local is None or agreed is None or moved_here(local, agreed):
        return False
    return local.content is None or untouched_here(local, agreed)


def _rewritten_here(row: Row) -> bool:
    remote, local, agreed = row.remote, row.local, row.agreed
    if remote is None or local is None or agreed is None or local.content is None:
        return False
    return remote.content == agreed.content and edited_here(local, agreed)


def _rewritten_there(row: Row) -> bool:
    remote, local, agreed = row.remote, row.local, row.agreed
    if remote is None or local is None or agreed is None:
        return False
    return remote.content != agreed.content and not edited_here(local, agreed)


IS_PART: dict[Mass, Callable[[Row], bool]] = {
    Mass.DELETED_HERE: _deleted_here,
    Mass.DELETED_THERE: _deleted_there,
    Mass.REWRITTEN_HERE: _rewritten_here,
    Mass.REWRITTEN_THERE: _rewritten_there,
}


def turned_back(row: Row, mass: Mass) -> Row:
    """The row with which the other side wins: a deleted file is fetched again, a rewritten one gets its old
    content, and what gives way goes to the trash or stays a version.  Not for what was deleted there: its id is
    spent, so that only the server's trash can give it back."""
    agreed = row.agreed
    if mass is Mass.DELETED_HERE:
        return Row(row.node, row.remote, row.local, None)
    if agreed is not None and mass is Mass.REWRITTEN_HERE and row.local and row.local.content is not None:
        return Row(row.node, row.remote, row.local, replace(agreed, content=row.local.content))
    if agreed is not None and mass is Mass.REWRITTEN_THERE and row.remote is not None:
        seen, revision = row.remote.content, row.remote.content_revision
        return Row(row.node, row.remote, row.local, replace(agreed, content=seen, content_revision=revision))
    return row


# ---- words -----------------------------------------------------------------------------------------------


def sentence(mass: Mass, count: int, total: int) -> str:
    """What happened, what is not done therefore, and how to decide."""
    share = f" ({100 * count // total} % of this folder)" if total else ""
    match mass:
        case Mass.DELETED_HERE:
            what = f"{count:,} items{share} were deleted on this computer; nothing is deleted on the server"
        case Mass.DELETED_THERE:
            what = f"{count:,} items{share} were deleted on the server; nothing is deleted on this computer"
        case Mass.REWRITTEN_HERE:
            what = f"{count:,} files were rewritten on this computer and look encrypted; they are not sent"
        case Mass.REWRITTEN_THERE:
            what = f"{count:,} files were rewritten on the server and look encrypted; yours stay as they are"
    return (
        f"{what} until you decide. See `mb-sync guard`, then `mb-sync guard apply` to go on with it"
        " or `mb-sync guard restore` to undo it."
    )
