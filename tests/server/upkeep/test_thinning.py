"""Old versions and old trash go, and nothing else does."""

from __future__ import annotations

import random
from pathlib import Path
from uuid import UUID

from protocol.messages import Changes, Delete, DeleteTree, Put, Reset, ResetCause, Restore, Revision, Status
from server.retention import parse_versions
from server.upkeep.check import check
from server.upkeep.gc import Collector
from server.upkeep.thinning import Thinned, Thinning
from tests.support.busy_space import indirect_file
from tests.support.spaces import Client, Space, a_file, a_space
from tests.support.store import NOW_MS, Store

DAY_MS = 86_400_000


def thin(
    store: Store, *, now_ms: int, versions: str = "all", trash_days: int | None = None, dry: bool = False
) -> Thinned:
    seconds = None if trash_days is None else trash_days * 86_400
    steps = parse_versions(versions)
    return Thinning(
        store.database, store.chunks, steps=steps, trash_seconds=seconds, clock=lambda: now_ms
    ).run(dry=dry)


def is_sound(store: Store) -> bool:
    return check(store.database, store.packs, store.keys, deep=True) == []


def version_numbers(space: Space, node: UUID) -> list[int]:
    with space.store.database.reading() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT number FROM versions WHERE node = ? ORDER BY number", (node.bytes,)
        )
        return [number for (number,) in rows]


async def edited_daily(ada: Client, days: int) -> UUID:
    """A file with a version from each day, all its own bytes; the last one is current."""
    contents = [random.Random(day).randbytes(9_000) for day in range(days)]
    await ada.upload(*contents)
    ada.now_ms = NOW_MS
    node = await ada.put_new("a", a_file(contents[0]))
    for day in range(1, days):
        ada.now_ms = NOW_MS + day * 1_000
        [done] = await ada.commit(
            Put(node=node, content_revision=Revision(1, day), content=a_file(contents[day]))
        )
        assert done.status is Status.DONE
    return node


async def test_old_versions_go_and_the_current_one_never(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        node = await edited_daily(await space.client("ada"), 4)
        store = space.store
        later = NOW_MS + 40 * DAY_MS
        assert thin(store, now_ms=later, versions="all 30d", dry=True) == Thinned(versions=3)
        assert version_numbers(space, node) == [1, 2, 3, 4]
        assert thin(store, now_ms=later, versions="all 30d") == Thinned(versions=3)
        assert version_numbers(space, node) == [4]
        assert is_sound(store)
        assert thin(store, now_ms=later, versions="all 30d") == Thinned()
        freed = Collector(store.database, store.packs, store.keys, clock=lambda: later).run(grace_seconds=0)
        assert freed.packs_dropped == 1
        assert is_sound(store)


async def test_age_counts_from_when_a_version_was_replaced(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        await ada.upload(b"old", b"new")
        node = await ada.put_new("a", a_file(b"old"))
        ada.now_ms = NOW_MS + 12 * 3_600_000
        await ada.commit(Put(node=node, content_revision=Revision(1, 1), content=a_file(b"new")))
        assert thin(space.store, now_ms=NOW_MS + DAY_MS + 1, versions="all 1d") == Thinned()
        assert thin(space.store, now_ms=NOW_MS + 2 * DAY_MS, versions="all 1d") == Thinned(versions=1)


async def test_versions_with_an_indirect_manifest_go_with_all_their_uses(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        node = await ada.put_new("a", await indirect_file(ada, b"first", b"second"))
        await ada.commit(Put(node=node, content_revision=Revision(1, 1), content=a_file()))
        assert thin(space.store, now_ms=ada.now_ms + 9 * DAY_MS, versions="all 1d") == Thinned(versions=1)
        assert is_sound(space.store)


async def test_old_trash_goes_with_all_below_it_and_its_bytes_are_not_counted_any_more(
    tmp_path: Path,
) -> None:
    async with a_space(tmp_path) as space:
        ada, store = await space.client("ada"), space.store
        await ada.upload(b"1", b"22", b"333")
        folder = await ada.put_new("folder")
        await ada.put_new("a", a_file(b"1"), parent=folder)
        gone = await ada.put_new("b", a_file(b"22"), parent=folder)
        kept = await ada.put_new("c", a_file(b"333"))
        first = Revision(1, 1)
        await ada.commit(Delete(node=gone, place_revision=first, content_revision=first))
        await ada.commit(DeleteTree(node=folder, place_revision=first, cursor=await ada.head()))
        assert thin(store, now_ms=ada.now_ms + 29 * DAY_MS, trash_days=30) == Thinned()
        assert thin(store, now_ms=ada.now_ms + 31 * DAY_MS, trash_days=30, dry=True) == Thinned(nodes=3)
        assert thin(store, now_ms=ada.now_ms + 31 * DAY_MS, trash_days=30) == Thinned(nodes=3)
        assert is_sound(store)
        assert [state.node for state in (await ada.all_changes())[0]] == [kept]
        with store.database.reading() as session:
            [(used,)] = session.connection().exec_driver_sql("SELECT used_bytes FROM spaces")
        assert used == 3


async def test_what_was_restored_in_time_stays(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        node = await ada.put_new("a", a_file())
        first = Revision(1, 1)
        [gone] = await ada.commit(Delete(node=node, place_revision=first, content_revision=first))
        assert gone.place_revision is not None
        await ada.commit(Restore(node=node, place_revision=gone.place_revision))
        assert thin(space.store, now_ms=ada.now_ms + 99 * DAY_MS, trash_days=1) == Thinned()


async def test_who_heard_of_the_delete_goes_on_and_who_did_not_lists_anew(tmp_path: Path) -> None:
    async with a_space(tmp_path) as space:
        ada = await space.client("ada")
        node = await ada.put_new("a", a_file())
        behind = await ada.head()
        first = Revision(1, 1)
        await ada.commit(Delete(node=node, place_revision=first, content_revision=first))
        ahead = await ada.head()
        thin(space.store, now_ms=ada.now_ms + 9 * DAY_MS, trash_days=1)
        reset = await ada.page(behind)
        assert isinstance(reset, Reset)
        assert reset.cause is ResetCause.PURGED
        page = await ada.page(ahead)
        assert isinstance(page, Changes)
        assert page.nodes == []
