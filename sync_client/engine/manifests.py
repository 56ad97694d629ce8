"""Which chunks a content has, from its digest alone.

Owns: manifests that a digest does not tell by itself, among them the leaves of indirect ones.
May import: protocol, engine.database, engine.reading, engine.trees.

A file of one chunk needs no manifest: its digest is the chunk id.
"""

from __future__ import annotations

import hashlib

from protocol.errors import ContentDamaged
from protocol.ids import CHUNK_ID_BYTES, split_chunk_ids
from protocol.manifests import read_records
from protocol.messages import Content as WireContent
from protocol.messages import Kind, Manifest
from sync_client.engine.database import StateDatabase
from sync_client.engine.reading import SMALL_BYTES
from sync_client.engine.trees import Content


class Manifests:
    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    def keep(self, digest: bytes, manifest: Manifest, records: bytes = b"") -> None:
        """Inside a transaction.  records: of an indirect manifest, if they are known."""
        if len(manifest.chunks) > CHUNK_ID_BYTES or manifest.indirect:
            self._state.keep_manifest(digest, manifest)
        if records:
            self._state.keep_records(digest, records)

    def of(self, content: Content) -> Manifest:
        """As it travels: of a huge file this is the manifest of its manifest."""
        if content.size == 0:
            return Manifest()
        known = self._state.manifest(content.digest) if content.size > SMALL_BYTES else None
        return known or Manifest(content.size, content.digest, [content.size])

    def as_sent(self, content: Content) -> WireContent:
        """What a message says of this content."""
        if content.kind is Kind.FOLDER:
            return WireContent(kind=Kind.FOLDER)
        return WireContent(
            kind=content.kind,
            manifest=self.of(content),
            mtime_ns=content.mtime_ns,
            executable=content.executable,
        )

    def leaves_of(self, content: Content) -> Manifest | None:
        """The file's own chunks, in order; None: of a huge file they are not known here yet."""
        manifest = self.of(content)
        if not manifest.indirect:
            return manifest
        records = self._state.records(content.digest)
        return leaves_of_records(records, content.size) if records is not None else None

    def records_of(self, content: Content) -> bytes:
        """Of a huge file that was read here; b"" of any other."""
        return self._state.records(content.digest) or b"" if self.of(content).indirect else b""

    def take_records(self, content: Content, records: bytes) -> Manifest:
        """From the server.  Raises ContentDamaged: they are not those that the content names."""
        manifest, at = self.of(content), 0
        for chunk, length in zip(split_chunk_ids(manifest.chunks), manifest.lengths, strict=True):
            if hashlib.sha256(records[at : at + length]).digest() != chunk:
                raise ContentDamaged(
                    "The server sent another manifest than was asked for", hint="Check the server."
                )
            at += length
        leaves = leaves_of_records(records, content.size)
        self._state.keep_records(content.digest, records)
        return leaves


def leaves_of_records(records: bytes, size: int) -> Manifest:
    """The file's own chunks, as a manifest, from the records of its indirect one."""
    chunks = list(read_records(records, size=size))
    return Manifest(size, b"".join(chunk for chunk, _ in chunks), [length for _, length in chunks])
