"""The list of all files for `mb-server manifest`: what the server holds, as `sha256sum` would name it.

Owns: its lines.  May import: sqlalchemy, protocol, server.

    SHA-256 of the file, bytes, state (current, version, trash), path: NAME/Home/folder/file

A path begins with the owner's name, or with /Projects/NAME where a project owns it.  Everything below a
tombstone is trash, older versions included.  Links are not listed.  A file that cannot be read is listed with
dashes in place of its SHA-256.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, TextClause, text

from protocol.errors import ContentDamaged
from protocol.frames import open_frame
from protocol.ids import CHUNK_ID_BYTES
from protocol.manifests import content_digest
from protocol.messages import Manifest
from server.chunks.keys import StoreKeys
from server.chunks.packs import PackStore
from server.chunks.store import ChunkStore
from server.database.session import Database
from server.upkeep.walk import file_chunks, manifest_of

UNREADABLE = "-" * 64
_PAGE_FILES = 500
_MAX_REMEMBERED = 10_000

_VIEWS = text(
    "SELECT v.space, v.root, coalesce(u.name, '') || v.name FROM views v LEFT JOIN users u ON u.id = v.owner"
    " WHERE v.kind <> 'folder' ORDER BY u.name_key, v.name"
)


def manifest_lines(
    database: Database, packs: PackStore, keys: StoreKeys, *, versions: bool, trash: bool
) -> Iterator[str]:
    """One line for each file, in the order of owner and path; of one file the newest version first.

    versions: older versions too.  trash: files in the trash too (their older versions only with both).
    """
    digests = _Digests(database, ChunkStore(database, packs, keys, clock=lambda: 0))
    query = _files(versions=versions, trash=trash)
    with database.reading() as session:
        for space, root, prefix in session.execute(_VIEWS).all():
            arguments = {"space": space, "root": root, "prefix": prefix}
            rows = session.execute(query, arguments, execution_options={"yield_per": _PAGE_FILES})
            for row in rows:
                yield _line(row, digests)


def _line(row: Row[*tuple[Any, ...]], digests: _Digests) -> str:
    path, in_trash, is_current, size, chunks, lengths, indirect = row
    state = "trash" if in_trash else "current" if is_current else "version"
    manifest = manifest_of(size, chunks, lengths, indirect=bool(indirect))
    return f"{digests.of(manifest)} {size} {state} {path}"


def _files(*, versions: bool, trash: bool) -> TextClause:
    only = ["n.kind = 'file'"]
    only += [] if versions else ["v.epoch = n.content_epoch AND v.number = n.content_number"]
    only += [] if trash else ["t.in_trash = 0"]
    below = (
        "SELECT n.id, t.path || '/' || n.name, CASE WHEN n.deleted_at_ms IS NULL THEN t.in_trash ELSE 1 END"
    )
    return text(
        "WITH RECURSIVE tree(id, path, in_trash) AS ("  # noqa: S608 - put together from constants
        " SELECT id, CAST(:prefix AS TEXT), 0 FROM nodes WHERE space = :space AND id = :root"
        f" UNION ALL {below} FROM tree t JOIN nodes n ON n.space = :space AND n.parent = t.id)"
        " SELECT t.path, t.in_trash, v.epoch = n.content_epoch AND v.number = n.content_number,"
        " v.size, v.chunks, v.lengths, v.indirect"
        " FROM tree t JOIN nodes n ON n.space = :space AND n.id = t.id"
        " JOIN versions v ON v.space = n.space AND v.node = n.id"
        f" WHERE {' AND '.join(only)}"
        " ORDER BY t.path, t.id, v.epoch DESC, v.number DESC"
    )


class _Digests:
    """SHA-256 of whole files.  A file of one chunk need not be read for it."""

    def __init__(self, database: Database, store: ChunkStore) -> None:
        self._database = database
        self._store = store
        self._known: OrderedDict[bytes, str] = OrderedDict()  # by content digest: copies are read once

    def of(self, manifest: Manifest) -> str:
        content = content_digest(manifest)
        if len(manifest.chunks) <= CHUNK_ID_BYTES and not manifest.indirect:
            return content.hex()
        known = self._known.get(content)
        if known is None:
            known = self._known[content] = self._read(manifest)
            if len(self._known) > _MAX_REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _read(self, manifest: Manifest) -> str:
        whole = hashlib.sha256()
        try:
            with self._database.reading() as session:
                chunks = file_chunks(session, self._store, manifest)
                for frames in self._store.read(session, chunks):
                    for frame in frames:
                        whole.update(open_frame(frame))
        except ContentDamaged:
            return UNREADABLE
        return whole.hexdigest()
