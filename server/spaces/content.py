"""Contents that may be read: versions by node and revision, never by chunk id.

Owns: finding a version and the right that it needs, its chunks in order; one answer for all that is absent.
May import: sqlalchemy, protocol, server.access, server.chunks, server.database, server.spaces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.errors import BadRequest, NotFound, TooLarge
from protocol.ids import CHUNK_ID_BYTES, ChunkId, NodeId, split_chunk_ids
from protocol.limits import MAX_CONTENT_CHUNKS, MAX_INDIRECT_BYTES
from protocol.messages import Content, Part, Revision, WantedContent
from server.access.rights import Action, Principal, ReadableView, authorise
from server.chunks.store import ChunkStore
from server.database.tables import NodeRow
from server.spaces.holdings import resolve
from server.spaces.inside import inside
from server.spaces.rows import FoundVersion, VersionName, versions_named
from server.spaces.withdrawn import refuse_barred


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One version with the chunks of its bytes, in order, and their plain lengths."""

    name: str
    revision: Revision
    content: Content
    chunks: list[tuple[ChunkId, int]]


def wanted_chunks(
    session: Session,
    store: ChunkStore,
    principal: Principal,
    view: ReadableView,
    wanted: WantedContent,
) -> list[ChunkId]:
    """The chunks of all parts, in order.

    Raises NotFound: a node, a revision or the right to it is not there.  Raises BadRequest: a position beyond
    the last chunk.  Raises TooLarge: more than one request may ask for.
    """
    authorise(principal, Action.READ, view)
    names = [_name(part.node.bytes, part.revision) for part in wanted.parts]
    versions = _versions(session, principal, view, names)
    resolved: dict[VersionName, list[ChunkId]] = {}
    chunks: list[ChunkId] = []
    read_bytes = 0
    for part, name in zip(wanted.parts, names, strict=True):
        version = versions[name]
        if len(chunks) > MAX_CONTENT_CHUNKS or read_bytes > MAX_INDIRECT_BYTES:
            break
        if part.through and version.is_indirect:
            if name not in resolved:
                manifest = version.content.manifest
                read_bytes += sum(manifest.lengths)
                resolved[name] = [chunk for chunk, _ in resolve(session, store, manifest)]
            chunks += _positions(resolved[name], part)
        elif part.positions is None and len(version.chunks) == CHUNK_ID_BYTES:
            chunks.append(ChunkId(version.chunks))
        else:
            chunks += _positions(split_chunk_ids(version.chunks), part)
    if len(chunks) > MAX_CONTENT_CHUNKS or read_bytes > MAX_INDIRECT_BYTES:
        raise TooLarge(
            f"More than {MAX_CONTENT_CHUNKS} chunks, or {MAX_INDIRECT_BYTES} bytes of manifests, in one request",
            hint="Ask for fewer positions at once.",
        )
    return chunks


def version_of(
    session: Session, principal: Principal, view: ReadableView, node: NodeId, revision: Revision
) -> Content:
    """One content of a file or link.  Raises NotFound."""
    authorise(principal, Action.READ, view)
    name = _name(node.bytes, revision)
    return _versions(session, principal, view, [name])[name].content


def stored_file(
    session: Session,
    store: ChunkStore,
    principal: Principal,
    view: ReadableView,
    node: NodeId,
    revision: Revision | None = None,
) -> StoredFile:
    """A file as a browser wants it.  revision: None for the current one.  Raises NotFound."""
    authorise(principal, Action.READ, view)
    query = select(NodeRow.name, NodeRow.content_epoch, NodeRow.content_number)
    row = session.execute(query.where(NodeRow.space == view.space, NodeRow.id == node.bytes)).one_or_none()
    if row is None:
        raise _nothing()
    revision = revision or Revision(epoch=row.content_epoch, number=row.content_number)
    content = version_of(session, principal, view, node, revision)
    return StoredFile(row.name, revision, content, resolve(session, store, content.manifest))


def _versions(
    session: Session, principal: Principal, view: ReadableView, names: Collection[VersionName]
) -> dict[VersionName, FoundVersion]:
    """All of these versions.  What is superseded or in the trash needs the right to versions.

    Raises NotFound: one is missing.  Raises AccessDenied: that right is, or the file was withdrawn.
    """
    found = versions_named(session, view.space, names)
    mine = inside(session, view, {name[0] for name in names})
    if not all(name in found and name[0] in mine for name in names):
        raise _nothing()
    past = {name[0] for name, version in found.items() if version.is_past}
    if past:
        authorise(principal, Action.VERSIONS, view)
        refuse_barred(session, principal, view, past)
    return found


def _positions(chunks: Sequence[ChunkId], part: Part) -> Iterable[ChunkId]:
    if part.positions is None:
        return chunks
    if part.positions and max(part.positions) >= len(chunks):
        raise BadRequest(
            f"Position {max(part.positions)} of {len(chunks)} chunks", hint="Look at the manifest again."
        )
    return [chunks[position] for position in part.positions]


def _name(node: bytes, revision: Revision) -> VersionName:
    return node, revision.epoch, revision.number


def _nothing() -> NotFound:
    return NotFound("There is no such file or version", hint="Look at the folder again.")
