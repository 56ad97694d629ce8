"""Sends a batch of operations.

Owns: its number and its operation id, written down before it is sent; the memory that another computer counts with
the same identity.
May import: protocol, engine.database.

A lost answer must not make a conflict with ourselves: the batch stays written down until it was answered, and is
sent again, as it was, before anything else is planned.  The server then repeats its first answer.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from uuid import UUID

import msgspec

from protocol.errors import DeviceCloned, LocalProblem, MedicalBlocksError, NotSignedIn
from protocol.http import ServerApi
from protocol.ids import DeviceId, OperationId, uuid7
from protocol.messages import AnyOp, Commit, CommitAnswer, Committed, OpResult, Reset, to_msgpack
from sync_client.engine.database import StateDatabase

NO_FOLDER = 0  # a batch that belongs to no followed folder


async def send(
    api: ServerApi, state: StateDatabase, view: UUID, ops: Sequence[AnyOp], *, folder: int, cursor: str
) -> CommitAnswer:
    number = state.next_batch_number()
    operation = OperationId(uuid7(time.time_ns() // 1_000_000, secrets.randbits(74)))
    batch = Commit(operation=operation, number=number, ops=list(ops), cursor=cursor)
    state.write_batch(folder, number, to_msgpack(batch))
    try:
        answer = await api.commit(view, batch)
    except MedicalBlocksError as error:
        _drop_if_refused(state, number, error)
        raise
    with state.transaction(lasting=False):  # sent once more after a crash, it gets the same answer
        state.drop_batch(number)
    return answer


async def send_again(
    api: ServerApi,
    state: StateDatabase,
    view: UUID,
    *,
    folder: int,
    take: Callable[[Sequence[AnyOp], Committed], None],
) -> bool:
    """What was written down and not answered.  True: there was something.

    take: learns the answers in the transaction that drops the batch.  Without them our own work would look like
    that of somebody else, and an edit made since like a conflict with it.
    """
    batches = state.batches(folder)
    for number, body in batches:
        batch = msgspec.msgpack.decode(body, type=Commit)
        try:
            answer = await api.commit(view, batch)
        except MedicalBlocksError as error:
            _drop_if_refused(state, number, error)
            raise
        with state.transaction():
            state.drop_batch(number)
            if not isinstance(answer, Reset):
                take(batch.ops, answer)
    return bool(batches)


def _drop_if_refused(state: StateDatabase, number: int, error: MedicalBlocksError) -> None:
    """A batch that the server refuses as a whole did nothing, and would be refused for ever."""
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and not isinstance(error, NotSignedIn):
        with state.transaction():
            state.drop_batch(number)
            if isinstance(error, DeviceCloned):
                state.set_fact("cloned device", state.fact("device"))


def note_device(state: StateDatabase, device: DeviceId) -> None:
    """Whose numbers these are from now on."""
    state.set_fact("device", device.hex)


def is_cloned(state: StateDatabase, device: DeviceId) -> bool:
    """Whether a number of ours came to the server from a copy of this client home.  It stays true: by the next
    number the two may be out of step, and the server would no longer notice."""
    return state.fact("cloned device") == device.hex


async def commit(api: ServerApi, state: StateDatabase, view: UUID, ops: Sequence[AnyOp]) -> list[OpResult]:
    """For what a person asks once: no folder, no cursor, and not repeated at the next start."""
    try:
        answer = await send(api, state, view, ops, folder=NO_FOLDER, cursor="")
    finally:
        with state.transaction():
            for number, _ in state.batches(NO_FOLDER):
                state.drop_batch(number)
    if isinstance(answer, Reset):
        raise LocalProblem("The server came back from a backup", hint="Try again when the folder is synced.")
    return answer.results
