"""Files that an intake holds, met on their way to somewhere else.

Owns: recognising them.  May import: sqlalchemy, protocol, server.access, server.database, server.spaces.

An intake holds data that name a person.  Whoever may see one, and drags such a file into another folder, is told so
and the file stays on that computer.  It is recognised by its whole manifest, as the intake holds it or held it; what a
block published is free, wherever it lies, if it was published outside of all intakes.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from protocol.ids import CHUNK_ID_BYTES
from protocol.messages import Manifest, OpResult, Status
from server.access.grants import intakes_seen_by
from server.access.rights import Principal, ReadableView
from server.database.session import rows_in

IDENTIFIED = OpResult(
    status=Status.IDENTIFIED,
    message="an intake holds this very file: it names a person, and only a block may bring out what does not",
)
_HELD = (
    "SELECT DISTINCT versions.chunks FROM chunk_uses JOIN versions ON versions.space = chunk_uses.space"
    " AND versions.node = chunk_uses.node AND versions.epoch = chunk_uses.epoch"
    " AND versions.number = chunk_uses.number WHERE chunk_uses.space = ? AND chunk_uses.chunk IN"
)
_PUBLISHED = (
    "SELECT DISTINCT versions.chunks FROM chunk_uses JOIN provenance ON provenance.space = chunk_uses.space"
    " AND provenance.node = chunk_uses.node AND provenance.epoch = chunk_uses.epoch"
    " AND provenance.number = chunk_uses.number JOIN versions ON versions.space = chunk_uses.space"
    " AND versions.node = chunk_uses.node AND versions.epoch = chunk_uses.epoch"
    " AND versions.number = chunk_uses.number"
    " WHERE chunk_uses.space IN (SELECT target_space FROM rules JOIN spaces ON spaces.id = target_space"
    " WHERE spaces.kind <> 'intake') AND chunk_uses.chunk IN"
)


def identified_among(
    session: Session, principal: Principal, view: ReadableView, manifests: Mapping[int, Manifest]
) -> set[int]:
    """The numbers of those that an intake holds in which this principal works, and that `view` is not."""
    named = {index: manifest.chunks for index, manifest in manifests.items() if manifest.chunks}
    if not named:
        return set()
    held: set[bytes] = set()
    first = {chunks[:CHUNK_ID_BYTES] for chunks in named.values()}
    for space in intakes_seen_by(session, principal.user):
        if space != view.space:
            held.update(chunks for (chunks,) in rows_in(session, _HELD, space, among=first))
    if held:  # somebody put back into an intake what came out of it
        held.difference_update(chunks for (chunks,) in rows_in(session, _PUBLISHED, among=first))
    return {index for index, chunks in named.items() if chunks in held}
