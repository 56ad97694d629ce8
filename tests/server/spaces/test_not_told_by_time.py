"""Neither the answer nor the time that it takes tells that a chunk exists where the asker may not look."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from protocol.ids import ChunkId, NodeId, ViewId
from server.access.grants import find_somebody, give
from server.access.rights import Role
from server.access.views import readable_view, views_of
from server.spaces.missing import to_upload
from tests.support.spaces import Client, Space, a_file, a_space
from tests.support.times_apart import PAIRS, tell_apart

HIDDEN = b"what nobody else may know of"


async def a_member(space: Space, ada: Client) -> Client:
    """ben, who may write in one folder of ada's home, two folders down."""
    above = await ada.put_new("Studies")
    study = await ada.put_new("Study", parent=above)
    ben = await space.client("ben")
    with space.store.database.writing() as session:
        who = find_somebody(session, "user:ben")
        give(session, ada.view.space, NodeId(study), who, Role.EDITOR, by=ada.principal.user, now_ms=1)
    with space.store.database.reading() as session:
        [shared] = [
            view for view in views_of(session, ben.principal, space.cursors).views if view.kind == "folder"
        ]
        ben.view = readable_view(session, ben.principal, ViewId(shared.view))
    return ben


@pytest.mark.parametrize("asked_in", ["home", "shared folder"])
async def test_a_chunk_that_another_holds_and_one_that_nobody_holds(tmp_path: Path, asked_in: str) -> None:
    async with a_space(tmp_path, "ada", "ben") as space:
        ada = await space.client("ada")
        [hidden] = await ada.upload(HIDDEN)
        private = await ada.put_new("private")
        await ada.put_new("scan.dcm", a_file(HIDDEN), parent=private)
        ben = await a_member(space, ada) if asked_in == "shared folder" else await space.client("ben")

        nowhere = [ChunkId(uuid4().bytes + uuid4().bytes) for _ in range(PAIRS)]
        with space.store.database.reading() as session:

            def ask(chunk: ChunkId) -> None:
                assert to_upload(session, ben.principal, ben.view, [chunk], now_ms=1) == [0]

            assert not tell_apart(lambda turn: ask(nowhere[turn]), lambda _: ask(hidden))
