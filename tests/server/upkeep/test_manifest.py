"""The list of files says for each what `sha256sum` would say of it."""

import hashlib
from pathlib import Path

from server.upkeep.manifest import UNREADABLE, manifest_lines
from tests.support.busy_space import HALVES, a_copy, alter
from tests.support.store import Store


def line(data: bytes, state: str, path: str) -> str:
    return f"{hashlib.sha256(data).hexdigest()} {len(data)} {state} {path}"


CURRENT = [
    line(b"two", "current", "ada/Home/folder/One"),
    line(b"", "current", "ada/Home/folder/empty"),
    line(b"".join(HALVES), "current", "ada/Home/folder/halves"),
    line(b"firstsecond", "current", "ada/Home/indirect"),
    line(b"one", "current", "eve/Home/hers"),
]


async def lines(store: Store, *, versions: bool = False, trash: bool = False) -> list[str]:
    listed = manifest_lines(store.database, store.packs, store.keys, versions=versions, trash=trash)
    return list(listed)


async def test_it_lists_current_files_and_on_demand_versions_and_trash(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        assert await lines(store) == CURRENT
        old = line(b"one", "version", "ada/Home/folder/One")
        assert await lines(store, versions=True) == [CURRENT[0], old, *CURRENT[1:]]
        thrown_away = line(b"two", "trash", "ada/Home/trash/thrown away")
        assert await lines(store, trash=True) == [*CURRENT[:4], thrown_away, CURRENT[4]]


async def test_a_file_that_cannot_be_read_is_listed_all_the_same(busy: Path, tmp_path: Path) -> None:
    async with a_copy(busy, tmp_path) as store:
        alter(store, "DELETE FROM chunks WHERE id = ?", hashlib.sha256(HALVES[1]).digest())
        assert (await lines(store))[2] == f"{UNREADABLE} 611 current ada/Home/folder/halves"
