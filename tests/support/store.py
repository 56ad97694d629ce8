"""A real chunk store in a temporary folder, and frames to put in."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from protocol.frames import Frame, frame_of, open_frame
from protocol.ids import ChunkId, DeviceId
from server.chunks.keys import StoreKeys, create_keys, open_keys
from server.chunks.packs import FolderPacks
from server.chunks.store import ChunkStore
from server.database.session import Database

DEVICE = DeviceId(UUID(int=1))
NOW_MS = 1_800_000_000_000


def chunk_id(data: bytes) -> ChunkId:
    return ChunkId(hashlib.sha256(data).digest())


def frames_of(datas: Iterable[bytes]) -> list[Frame]:
    return [frame_of(chunk_id(data), data) for data in datas]


async def stream_of(*groups: Sequence[Frame]) -> AsyncIterator[list[Frame]]:
    for group in groups:
        yield list(group)


@dataclass
class Store:
    folder: Path
    database: Database
    packs: FolderPacks
    keys: StoreKeys
    chunks: ChunkStore
    now_ms: int = NOW_MS

    @property
    def pack_files(self) -> list[Path]:
        return sorted(path for path in self.packs.folder.iterdir() if path.suffix == ".pack")

    async def put(self, *datas: bytes) -> list[ChunkId]:
        """Upload these chunks in one stream, so into one pack; returns their ids."""
        frames = frames_of(datas)
        stored = await self.chunks.take(DEVICE, stream_of(frames))
        assert stored.stored == len(datas)
        return [frame.id for frame in frames]

    async def get(self, chunks: Sequence[ChunkId]) -> list[bytes]:
        with self.database.reading() as session:
            located = self.chunks.locate(session, chunks)
        return [open_frame(frame) async for group in self.chunks.stream(located) for frame in group]


@asynccontextmanager
async def a_store(folder: Path) -> AsyncIterator[Store]:
    """Made new in an empty folder; opened where there is one."""
    if not (folder / "keys").exists():
        create_keys(folder / "keys")
    database = Database.open(folder / "server.db", migrate=True)
    packs = FolderPacks.open(folder / "packs")
    keys = open_keys(folder / "keys")
    store = Store(folder, database, packs, keys, ChunkStore(database, packs, keys, clock=lambda: NOW_MS))
    try:
        yield store
    finally:
        database.close()
