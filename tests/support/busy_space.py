"""A server that has something of everything: what a check must pass over, and a fault can be planted in."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from protocol.manifests import write_records
from protocol.messages import Content, Delete, Kind, Manifest, Move, NodeState, Put
from tests.support.spaces import Client, a_file, a_manifest, a_space
from tests.support.store import Store, a_store

HALVES = (b"first half, " * 50, b"second half")
LINK = Content(kind=Kind.LINK, manifest=a_manifest(b"../somewhere"))


async def indirect_file(client: Client, *chunks: bytes) -> Content:
    """A file whose manifest is itself stored as a chunk."""
    uploaded = await client.upload(*chunks)
    records = write_records(zip(uploaded, map(len, chunks), strict=True))
    [own] = await client.upload(records)
    size = sum(map(len, chunks))
    return Content(kind=Kind.FILE, manifest=Manifest(size, own, [len(records)], indirect=True))


async def make_busy_space(folder: Path) -> None:
    """Two homes; files of one chunk, two chunks and none, old versions, a moved file, a link, a trash."""
    async with a_space(folder, "ada", "eve") as space:
        ada, eve = await space.client("ada"), await space.client("eve")
        await ada.upload(b"one", b"two", b"../somewhere", *HALVES)
        nodes: dict[str, UUID] = {"folder": await ada.put_new("folder"), "trash": await ada.put_new("trash")}
        for name, content, parent in (
            ("one", a_file(b"one"), None),
            ("halves", a_file(*HALVES), "folder"),
            ("empty", a_file(), "folder"),
            ("link", LINK, None),
            ("thrown away", a_file(b"two"), "trash"),
            ("indirect", await indirect_file(ada, b"first", b"second"), None),
        ):
            nodes[name] = await ada.put_new(name, content, parent=nodes[parent] if parent else None)
        now = await states(ada)
        await ada.commit(
            Put(node=nodes["one"], content_revision=now["one"].content_revision, content=a_file(b"two")),
            Move(
                node=nodes["one"],
                place_revision=now["one"].place_revision,
                parent=nodes["folder"],
                name="One",
            ),
        )
        now = await states(ada)
        trash = now["trash"]
        await ada.commit(
            Delete(
                node=nodes["thrown away"],
                place_revision=now["thrown away"].place_revision,
                content_revision=now["thrown away"].content_revision,
            ),
            Delete(
                node=nodes["trash"],
                place_revision=trash.place_revision,
                content_revision=trash.content_revision,
            ),
        )
        await eve.upload(b"one")
        await eve.put_new("hers", a_file(b"one"))


async def states(client: Client) -> dict[str, NodeState]:
    nodes, _ = await client.all_changes()
    return {node.name: node for node in nodes}


def alter(store: Store, sql: str, *arguments: object) -> None:
    """As a fault of the program, or of the disk, would change the rows."""
    with sqlite3.connect(store.database.path) as connection:
        assert connection.execute(sql, arguments).rowcount > 0


@asynccontextmanager
async def a_copy(busy: Path, folder: Path) -> AsyncIterator[Store]:
    """A busy space made before, to be broken."""
    shutil.copytree(busy, folder / "copy")
    async with a_store(folder / "copy") as store:
        yield store
